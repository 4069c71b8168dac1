"""Images: one source, one file; `store` writes and reads what a source prepared, `batches` hands it out."""

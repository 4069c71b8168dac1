"""Arrays and tables -> figures with their alt text and the sentence that says what they show; and the parts of a page."""

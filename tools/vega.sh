#!/bin/sh
# Makes the page that `dvc plots` fills, reports/vega/page.html: the libraries that draw its charts stand in it, so that it
# asks nothing of a network. Run it (with npm) only to take newer ones; what it makes is in git.
set -eu
cd "$(dirname "$0")/.."
into=reports/vega work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$into"
libraries="vega@5.33.1 vega-lite@5.23.0 vega-embed@6.29.0"
{
    cat <<'HEAD'
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Plots</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<style>
  body { margin: 2.5rem auto; max-width: 72rem; padding: 0 1.25rem; font: 1rem/1.5 system-ui, sans-serif; color: #1c1d20; background: #fdfdfb; }
  body > div { display: inline-block; vertical-align: top; margin: 0 2rem 2.5rem 0; max-width: 100%; overflow-x: auto; }
</style>
{refresh_tag}
HEAD
    for package in $libraries; do
        name=${package%@*}
        (cd "$work" && npm pack --silent "$package" >/dev/null && rm -rf package && tar xzf "$name"-[0-9]*.tgz)
        echo "<script>"
        grep -v '^//# sourceMappingURL' "$work/package/build/$name.min.js"
        echo "</script>"
    done
    cat <<'FOOT'
</head>
<body>
<h1>Plots</h1>
<p>Charts of the CSV files in results/ and reports/plots/, as `dvc plots` finds them. Its licences: reports/vega/LICENSES.</p>
{plot_divs}
</body>
</html>
FOOT
} >"$into/page.html"
# The files bundle what they depend on, whose licences are only in the packages themselves.
(cd "$work" && echo '{}' >package.json && npm install --silent --ignore-scripts --no-audit $libraries >/dev/null)
find "$work/node_modules" -iname 'licen[cs]e*' -type f | LC_ALL=C sort | while read -r licence; do
    folder=${licence#"$work"/node_modules/}
    { echo "== ${folder%/*}"; echo; cat "$licence"; echo; } >>"$work/LICENSES"
done
mv "$work/LICENSES" "$into/LICENSES"
grep -c '{plot_divs}' "$into/page.html" | grep -qx 1

# Renders the catalogue, tab-separated with a heading line, as one page.
BEGIN { FS = "\t" }

function escaped(text) {
  gsub(/&/, "\\&amp;", text)
  gsub(/</, "\\&lt;", text)
  return text
}

NR == 1 {
  print "<!doctype html><meta charset=\"utf-8\"><title>Chandlery</title>"
  print "<h1>Chandlery</h1><table><tr><th>Article<th>Price<th>In stock"
  next
}

{
  printf "<tr><td>%s<td>%.2f<td>%s\n", escaped($1), $2, ($3 > 0 ? $3 : "sold out")
  articles++
}

END { printf "</table><p>%d articles, version %s\n", articles, escaped(version) }

/** Renders our own short pages: headings, paragraphs, lists, code, bold. Everything is escaped first, so no text becomes markup. */
export function markdownToHtml(markdown: string): string {
  const blocks = escapeHtml(markdown).split(/^```\w*\n([\s\S]*?)^```$/m);
  return blocks
    .map((block, index) => (index % 2 === 1 ? `<pre><code>${block}</code></pre>` : proseToHtml(block)))
    .join('\n');
}

/** Text as HTML shows it. */
export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function proseToHtml(prose: string): string {
  const paragraphs = prose.split(/\n{2,}/).filter((paragraph) => paragraph.trim() !== '');
  return paragraphs.map((paragraph) => paragraphToHtml(paragraph.trim())).join('\n');
}

function paragraphToHtml(paragraph: string): string {
  const heading = /^(#{1,3}) (.*)$/.exec(paragraph);
  if (heading !== null) {
    const level = heading[1]?.length ?? 1;
    return `<h${level}>${inlineToHtml(heading[2] ?? '')}</h${level}>`;
  }
  const lines = paragraph.split('\n');
  if (lines.every((line) => line.startsWith('- ')))
    return `<ul>${lines.map((line) => `<li>${inlineToHtml(line.slice(2))}</li>`).join('')}</ul>`;
  return `<p>${inlineToHtml(lines.join(' '))}</p>`;
}

function inlineToHtml(text: string): string {
  return text.replaceAll(/`([^`]+)`/g, '<code>$1</code>').replaceAll(/\*\*([^*]+)\*\*/g, '<strong>$1</strong>');
}

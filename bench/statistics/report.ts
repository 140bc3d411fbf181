/** A table in Markdown. */
export function table(
  title: string,
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [`\n### ${title}\n`, line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}

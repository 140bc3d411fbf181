import type { Chart } from './charts.js';
import { escapeXml, formatTime } from './format.js';
import { isInForce } from './headline.js';
import type { RolloutReport } from './rollout-report.js';
import type { Section, Table } from './section.js';
import { sectionsOf } from './sections.js';
import { STYLE } from './style.js';

/**
 * The report as one page that needs nothing else: no network, no script.
 *
 * @param charts - From `drawCharts`; undefined when the chart library is not installed, which the page reports.
 */
export function toHtml(report: RolloutReport, charts: readonly Chart[] | undefined): string {
  const title = `Rollout report: ${report.flagKey ?? 'unknown flag'}`;
  const sections = sectionsOf(report);
  const links = sections.map(({ id, title }) => `<a href="#${id}">${escapeHtml(title)}</a>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<p class="made">${escapeHtml(title)} · ${formatTime(report.generatedAt)}</p>
<h1 class="headline ${moodOf(report)}">${escapeHtml(report.headline)}</h1>
</header>
<main>
${charts === undefined ? MISSING : chartHtml('error-rate', charts)}
<nav aria-label="Sections">${links.join(' ')}</nav>
${sections.map((section) => sectionHtml(section, 2, charts)).join('\n')}
</main>
</body>
</html>
`;
}

const MISSING =
  '<p class="missing">The charts are missing, because the package <code>echarts</code> is not installed: run <code>npm install echarts</code> and write the report again. The tables below contain the same numbers.</p>';

function chartHtml(id: Chart['id'], charts: readonly Chart[] = []): string {
  return charts
    .filter((chart) => chart.id === id)
    .map(
      ({ title, wide, narrow }) =>
        `<figure><figcaption>${escapeHtml(title)}</figcaption><div class="wide">${wide}</div><div class="narrow">${narrow}</div></figure>`,
    )
    .join('\n');
}

function sectionHtml(
  { id, title, charts: ids = [], paragraphs = [], tables = [], parts = [] }: Section,
  level: number,
  charts: readonly Chart[] | undefined,
): string {
  const tag = level === 2 ? 'section' : 'article';
  return `<${tag} id="${escapeHtml(id)}"><h${level}>${escapeHtml(title)}</h${level}>
${paragraphs.map((paragraph) => `<p>${escapeHtml(paragraph)}</p>`).join('\n')}
${ids.map((chart) => chartHtml(chart, charts)).join('\n')}
${tables.map(tableHtml).join('\n')}
${parts.map((part) => sectionHtml(part, level + 1, charts)).join('\n')}
</${tag}>`;
}

/** Wide tables scroll within themselves, so the box can be focused and scrolled with the keyboard. */
function tableHtml({ caption, head, rows }: Table): string {
  const classes = head.map((_, column) =>
    column > 0 && rows.every((row) => isNumeric(row[column] ?? '')) ? ' class="number"' : '',
  );
  const headCells = head.map((cell, column) => `<th scope="col"${classes[column]}>${escapeHtml(cell)}</th>`);
  const bodyRows = rows.map((row) => {
    const [name = '', ...cells] = row;
    const rest = cells.map((cell, index) => {
      const classOf = classes[index + 1] || (cell.length > MAX_LINE ? ' class="prose"' : '');
      return `<td${classOf}>${escapeHtml(cell)}</td>`;
    });
    return `<tr><th scope="row">${escapeHtml(name)}</th>${rest.join('')}</tr>`;
  });
  return `<div class="table" role="region" aria-label="${escapeHtml(caption)}" tabindex="0"><table><caption>${escapeHtml(caption)}</caption>
<thead><tr>${headCells.join('')}</tr></thead>
<tbody>${bodyRows.join('\n')}</tbody></table></div>`;
}

/** Longer cells are broken into lines. */
const MAX_LINE = 40;

/** A number with its unit, short enough to stay in one line. */
function isNumeric(cell: string): boolean {
  return cell === '' || cell === '–' || (/^[+−]?\d/.test(cell) && cell.length < 20);
}

function moodOf({ decisions }: RolloutReport): string {
  const stop = decisions.findLast(isInForce);
  return stop !== undefined && stop.reArmedAt === undefined ? 'stopped' : 'going';
}

function escapeHtml(text: string): string {
  return escapeXml(text).replaceAll('"', '&quot;').replaceAll("'", '&#39;');
}

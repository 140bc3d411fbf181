import { escapeXml } from './format.js';
import type { RolloutReport } from './rollout-report.js';
import type { Section, Table } from './section.js';
import { sectionsOf } from './sections.js';

/** The report as GitHub Flavored Markdown. */
export function toMarkdown(report: RolloutReport): string {
  const blocks = [
    `# Rollout report: ${text(report.flagKey ?? 'unknown flag')}`,
    text(report.headline),
    ...sectionsOf(report).flatMap((section) => sectionBlocks(section, 2)),
  ];
  return `${blocks.join('\n\n')}\n`;
}

function sectionBlocks(
  { title, paragraphs = [], tables = [], parts = [] }: Section,
  level: number,
): string[] {
  return [
    `${'#'.repeat(level)} ${text(title)}`,
    ...paragraphs.map(text),
    ...tables.map(tableBlock),
    ...parts.flatMap((part) => sectionBlocks(part, level + 1)),
  ];
}

function tableBlock({ head, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map(text).join(' | ')} |`;
  const rule = `| ${head.map((_, index) => (index === 0 ? '---' : '---:')).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

/** Nothing in names and messages is markup. */
function text(value: string): string {
  return escapeXml(value.replace(/\s+/g, ' ').replace(/[\\`*_[\]|~]/g, '\\$&'));
}

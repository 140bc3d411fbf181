import type { Health } from '../../model/health.js';
import type { RolloutView, TriggerView } from '../../model/rollout-view.js';
import { ARMS } from '../../model/shapes.js';
import type { RolloutHistory } from '../../rollups/rollup.js';
import {
  briefReason,
  formatAgo,
  formatCount,
  formatSpan,
  NEXT_STEP,
  noOutcomeYet,
  plainReason,
  shownArms,
} from '../../support/wording.js';
import { formatLatency, formatPercentage, formatShare, rolloutWord } from '../format.js';
import { isFlagGone, sequelOf, stageTextOf, statusLine, triggerText } from '../status/render.js';
import type { RolloutStatus } from '../status/rollout-status.js';
import { armPoints, WATCHED_MS } from './recent.js';
import { bar, clip, padded, printable, sparkline, widthOf, wrap } from './text.js';

/** What a part of a line means; a terminal without colours shows all alike. */
export type Tone = 'plain' | 'strong' | 'faint' | 'good' | 'bad' | 'warn' | 'treatment' | 'control';

/** A terminal's size in cells. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** What is shown. */
export interface Watched {
  /** The guards of one rollout, at least one. */
  readonly statuses: readonly RolloutStatus[];
  /** At least the latest hour. */
  readonly history: RolloutHistory;
  readonly now: number;
}

/** Colours a text, or leaves it as it is. */
export type Paint = (tone: Tone, text: string) => string;

/** A line as parts, so that its width is known before it has colours. */
type Line = readonly (readonly [tone: Tone, text: string])[];

/** A block of lines; the less important, the earlier it is left out where the terminal is small. */
interface Block {
  readonly importance: number;
  readonly lines: readonly Line[];
}

/** The screen as at most as many lines as there are rows, none wider than the terminal. Pure. */
export function screenOf(watched: Watched, size: Size, paint: Paint): string[] {
  const { columns, rows } = size;
  const blocks = blocksOf(watched, columns);
  const room = Math.max(1, rows - 1);
  const lines: Line[] = [];
  for (const block of fitting(blocks, room)) {
    if (lines.length > 0 && hasGaps(blocks, room)) lines.push([]);
    lines.push(...block.lines);
  }
  const footer: Line = [['faint', clip(`${timeOf(watched.now)} UTC · q quits`, columns)]];
  return [...lines, footer].map((line) => painted(line, columns, paint));
}

/** As many lines as have room, of the most important blocks, in their order. */
function fitting(blocks: readonly Block[], room: number): Block[] {
  const shown = new Map<Block, number>();
  let left = room;
  for (const block of [...blocks].sort((a, b) => a.importance - b.importance)) {
    const count = Math.min(left, block.lines.length);
    shown.set(block, count);
    left -= count;
  }
  return blocks
    .map((block) => ({ ...block, lines: block.lines.slice(0, shown.get(block)) }))
    .filter(({ lines }) => lines.length > 0);
}

/** Empty lines between blocks, where everything has room with them. */
function hasGaps(blocks: readonly Block[], room: number): boolean {
  return blocks.reduce((sum, { lines }) => sum + lines.length + 1, -1) <= room;
}

function blocksOf({ statuses, history, now }: Watched, columns: number): Block[] {
  const [status, ...others] = statuses as [RolloutStatus, ...RolloutStatus[]];
  const { view } = status;
  const rest =
    view === undefined ? [] : [armsBlock(view, history, now, columns), triggersBlock(view, columns)];
  return [
    headBlock(status, now, columns),
    ...stageBlock(status, columns),
    ...rest,
    ...[noticesBlock(status, now, columns), eventsBlock(history, now, columns)],
    { importance: 4, lines: others.map((other): Line => [['faint', clip(statusLine(other), columns)]]) },
  ].filter(({ lines }) => lines.length > 0);
}

/** State and health. */
function headBlock(status: RolloutStatus, now: number, columns: number): Block {
  const { state, since, view, rollout, isClosed, health } = status;
  const isStopped = state !== 'armed';
  const word = isClosed ? 'closed' : state;
  const tone: Tone = isStopped ? 'bad' : isClosed || health?.status === 'blind' ? 'warn' : 'good';
  const ago = since === undefined ? '' : ` for ${formatSpan(Math.max(0, now - since))}`;
  const at = rollout?.enabled ? ' at' : ',';
  const where =
    rollout === undefined ? '' : isFlagGone(status) ? ', no such flag' : `${at} ${rolloutWord(rollout)}`;
  const dry = view?.dryRun ? ', dry run' : '';
  const name = clip(printable(status.flagKey ?? 'unknown flag'), Math.max(8, columns - 24));
  const { decision } = status;
  const isShown = isStopped || (view?.state.status === 'armed' && view.state.wouldHaveStopped !== undefined);
  const why =
    isShown && decision !== undefined
      ? [briefReason(decision.decision), sequelOf(status, decision) ?? '']
      : [];
  const missing = isClosed || view === undefined ? undefined : noOutcomeYet(view);
  return {
    importance: 0,
    lines: [
      [
        [tone, '● '],
        ['strong', name],
        [tone, `  ${word}`],
        ['plain', `${where}${ago}${dry}`],
      ],
      ...healthLines(status, health, now, columns),
      ...why.flatMap((text) =>
        wrap(printable(text), columns, 3).map((line): Line => [[isStopped ? 'bad' : 'warn', line]]),
      ),
      ...wrap(missing ?? '', columns, 3).map((line): Line => [['plain', line]]),
    ],
  };
}

function healthLines(
  { isClosed, view }: RolloutStatus,
  health: Health | undefined,
  now: number,
  columns: number,
): Line[] {
  if (isClosed) return [[['warn', 'Nothing protects the flag: the guard was closed.']]];
  if (health?.status === 'blind') {
    return health.reasons.flatMap(({ code, message }) =>
      wrap(printable(`blind: ${code}, ${message}`), columns, 4).map((line): Line => [['bad', line]]),
    );
  }
  const expires = view?.tokenExpiresAt;
  const parts = [
    'healthy',
    expires !== undefined && (expires <= now ? 'token expired' : `token for ${formatSpan(expires - now)}`),
    view?.fleet && fleetWords(view.fleet),
    view && `seen ${formatAgo(Math.max(0, now - view.at))}`,
  ];
  return [[['faint', parts.filter(Boolean).join(' · ')]]];
}

function fleetWords({ processes, groups }: NonNullable<RolloutView['fleet']>): string {
  const sum = (of: typeof groups) => of.reduce((all, group) => all + group.processes, 0);
  const others = sum(groups.filter(({ sameRules }) => !sameRules));
  const rules = others === 0 ? '' : `, ${others} with other rules`;
  return `${sum(groups)} processes, leader ${printable(processes[0]?.instance ?? 'none')}${rules}`;
}

/** The bar, and what is still needed. */
function stageBlock(status: RolloutStatus, columns: number): Block[] {
  const { stage, view } = status;
  if (stage === undefined) return [];
  const { minOutcomes, percentage } = stage.stage;
  const of = view === undefined ? '' : `/${view.stages.length}`;
  const title = `Stage ${stage.index + 1}${of}, ${formatPercentage(percentage)} `;
  const width = Math.min(24, columns - widthOf(title) - 5);
  const share = stage.status === 'collecting' ? Math.min(1, stage.outcomes / minOutcomes) : 1;
  const tone: Tone = stage.status === 'met' ? 'good' : stage.status === 'collecting' ? 'plain' : 'warn';
  const drawn = width < 6 ? '' : `${bar(share, width)} `;
  return [
    {
      importance: 1,
      lines: [
        [
          ['strong', title],
          [tone, `${drawn}${drawn === '' ? stage.status : `${Math.floor(share * 100)} %`}`],
        ],
        ...wrap(printable(stageTextOf(status, stage)), columns, 2).map((text): Line => [['plain', text]]),
      ],
    },
  ];
}

/** Each arm's error rate and p95 of the latest hour. */
function armsBlock(view: RolloutView, history: RolloutHistory, now: number, columns: number): Block {
  const isNarrow = columns < 72;
  const room = isNarrow ? columns - 18 : Math.floor((columns - 42) / 2);
  const cells = Math.max(6, Math.min(30, room));
  const points = {
    treatment: armPoints(history, 'treatment', now, cells),
    control: armPoints(history, 'control', now, cells),
  };
  const highest = (key: 'errorRate' | 'p95') =>
    Math.max(0, ...ARMS.flatMap((arm) => points[arm].map((point) => point[key] ?? 0)));
  const tops = { errorRate: Math.max(0.001, highest('errorRate')), p95: highest('p95') };
  const { arms, decidedAt } = shownArms(view);
  const figures = decidedAt !== undefined ? 'figures of when it was decided' : 'figures of this epoch';
  const last = `the last ${formatSpan(WATCHED_MS)}; ${figures}`;
  const title: Line = [
    ['strong', isNarrow ? 'Error rate, p95 ' : 'Error rate and p95 '],
    ['faint', clip(last, Math.max(0, columns - 20))],
  ];
  const lines = ARMS.flatMap((arm): Line[] => {
    const { counts, p95Ms } = arms[arm];
    const trials = counts.successes + counts.failures;
    const rate = formatShare(trials === 0 ? undefined : counts.failures / trials);
    const errors: Line = [
      [arm, padded(arm, 10)],
      [
        arm,
        sparkline(
          points[arm].map(({ errorRate }) => errorRate),
          tops.errorRate,
        ),
      ],
    ];
    const times: Line = [
      [
        arm,
        sparkline(
          points[arm].map(({ p95 }) => p95),
          tops.p95,
        ),
      ],
      ['plain', ` ${formatLatency(p95Ms)}`],
    ];
    if (isNarrow)
      return [
        [...errors, ['plain', ` ${rate}`]],
        [['plain', padded('', 10)], ...times],
      ];
    return [[...errors, ['plain', ` ${padded(`${rate} of ${formatCount(trials)}`, 20)}  `], ...times]];
  });
  return { importance: 2, lines: [title, ...lines] };
}

/** A bar of evidence, or of how near a limit is, for each trigger. */
function triggersBlock(view: RolloutView, columns: number): Block {
  const longest = Math.max(0, ...view.triggers.map(({ name }) => widthOf(printable(name))));
  const names = Math.min(longest, Math.max(10, Math.floor(columns * 0.42)));
  const width = columns < 60 ? 8 : 12;
  const breachesFirst = [...view.triggers].sort((a, b) => rankOf(a) - rankOf(b));
  const lines = breachesFirst.map((trigger): Line => {
    const { name, evidence, dryRun } = trigger;
    const tone = toneOf(trigger, view);
    const isMuted = view.controls.mutes.some((mute) => mute.trigger === name && mute.until > view.at);
    const drawn = evidence === undefined ? padded('', width) : bar(evidence, width);
    const words = isMuted ? 'muted' : `${triggerText(trigger.verdict)}${dryRun ? ', dry run' : ''}`;
    return [
      ['plain', `${padded(printable(name), names)} `],
      [evidence === undefined ? 'faint' : tone, `${drawn} `],
      [tone, words],
    ];
  });
  const title: Line = [
    ['strong', 'Triggers '],
    ['faint', clip('bars: evidence towards the threshold', Math.max(0, columns - 9))],
  ];
  return { importance: 3, lines: lines.length === 0 ? [] : [title, ...lines] };
}

/** What an operator must see has room on any terminal. */
function rankOf({ verdict }: TriggerView): number {
  return verdict?.status === 'breach' ? 0 : 1;
}

function toneOf({ verdict, severity, dryRun }: TriggerView, view: RolloutView): Tone {
  const stops = severity === 'rollback' && !dryRun && !view.dryRun;
  if (verdict?.status === 'breach') return stops ? 'bad' : 'warn';
  return verdict?.status === 'ok' ? 'good' : 'faint';
}

/** What an operator should know of: reviews, holds, problems. */
function noticesBlock(status: RolloutStatus, now: number, columns: number): Block {
  const { view, openReviews, openProblems, problems } = status;
  const hold = view?.controls.hold;
  const notices: [Tone, string][] = [
    ...openReviews.map(({ verdict, openedAt }): [Tone, string] => [
      'warn',
      `Review, ${formatAgo(Math.max(0, now - openedAt))}: ${plainReason({ reason: verdict.message, verdicts: [verdict] })} ${NEXT_STEP.review}`,
    ]),
    ...(hold === undefined ? [] : [['warn', `Hold by ${hold.by}: ${hold.reason}`] as [Tone, string]]),
    ...openProblems.map(({ text }): [Tone, string] => ['warn', text]),
    ...problems.map((text): [Tone, string] => ['warn', text]),
  ];
  const lines = notices.flatMap(([tone, text]) =>
    wrap(printable(text), columns, 4).map((line): Line => [[tone, line]]),
  );
  return { importance: 2.5, lines: lines.slice(0, 8) };
}

const MAX_EVENTS = 6;

/** What happened last, the latest first. */
function eventsBlock({ annotations }: RolloutHistory, now: number, columns: number): Block {
  const lines = annotations
    .slice(-MAX_EVENTS)
    .reverse()
    .map(({ at, title, text }): Line => {
      const words = text === '' || text.startsWith(title) ? text || title : `${title}: ${text}`;
      return [
        ['faint', padded(formatAgo(Math.max(0, now - at)), 10)],
        ['plain', clip(printable(words), Math.max(0, columns - 10))],
      ];
    });
  return { importance: 5, lines: lines.length === 0 ? [] : [[['strong', 'Last events']], ...lines] };
}

function painted(line: Line, columns: number, paint: Paint): string {
  let left = columns;
  let text = '';
  for (const [tone, part] of line) {
    const shown = clip(part, left);
    left -= widthOf(shown);
    if (shown !== '') text += paint(tone, shown);
    if (left <= 0) break;
  }
  return text;
}

function timeOf(at: number): string {
  return new Date(at).toISOString().slice(11, 19);
}

import { styleText } from 'node:util';

/** The part of a stream that decides about colour; `process.stdout` fits. */
interface ColourStream {
  readonly isTTY?: boolean;
  hasColors?(environment?: NodeJS.ProcessEnv): boolean;
}

type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan';

/** Gives text a style, or leaves it as it is where there are no colours. */
export type Painter = (style: Style, text: string) => string;

/**
 * Whether a stream gets colours: FORCE_COLOR decides if it is set, as in Node.js; NO_COLOR (https://no-color.org) and
 * NODE_DISABLE_COLORS turn them off; otherwise a terminal that has colours gets them.
 */
export function hasColours(stream: ColourStream, environment: NodeJS.ProcessEnv): boolean {
  const { FORCE_COLOR: forced, NO_COLOR, NODE_DISABLE_COLORS } = environment;
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  if (NO_COLOR || NODE_DISABLE_COLORS) return false;
  return stream.isTTY === true && stream.hasColors?.(environment) === true;
}

export function painterFor(stream: ColourStream, environment: NodeJS.ProcessEnv = process.env): Painter {
  const isColoured = hasColours(stream, environment);
  // Decided here: newer versions of Node.js would decide once more, by the standard output.
  return (style, text) => (isColoured ? styleText(style, text, { validateStream: false }) : text);
}

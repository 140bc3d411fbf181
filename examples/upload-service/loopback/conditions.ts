/** What goes wrong with an upload that is struck. */
export type Fault =
  /** The API's own answer to trouble on its side. */
  | 'answer-500'
  /** The API's own answer to too many requests. */
  | 'answer-429'
  /** The connection breaks half-way through the body, as behind a proxy that crashes. */
  | 'reset-connection'
  /** Half the body is read, and then nothing moves any more. */
  | 'stall'
  /** Everything is read, and no answer ever comes. */
  | 'never-answer'
  /** The connection breaks half-way through the answer. */
  | 'cut-answer'
  /** 200, with what a proxy says instead of the API. */
  | 'garble-answer'
  /** The file object reports fewer bytes than were sent. */
  | 'lose-bytes';

/** What the provider knows of an upload when it begins to read the file. */
export interface Arriving {
  readonly api: string;
  readonly fileName: string;
  /** Sent in chunks of a length not known beforehand, as the streaming path does. */
  readonly streamed: boolean;
  /** 1 for the first upload since the provider started. */
  readonly number: number;
}

/** How the provider behaves. What is left out is as if all were well. */
export interface Conditions {
  /** Time for an answer over and above the transfer, in milliseconds. */
  readonly delayMs?: number | undefined;
  /** Each connection's bodies are read no faster than this. */
  readonly bytesPerSecond?: number | undefined;
  /** Further uploads at the same time are refused with 429, in the API's words. */
  readonly maxConcurrent?: number | undefined;
  readonly fault?: Fault | undefined;
  /** Which uploads the fault strikes. @default all */
  readonly strikes?: ((upload: Arriving) => boolean) | undefined;
  /** Whether a file that arrived whole is the one expected; others are refused. @default any */
  readonly accepts?: ((file: { readonly fileName: string; readonly sha256: string }) => boolean) | undefined;
}

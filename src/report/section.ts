/** A table of plain text; the first column names the row. */
export interface Table {
  readonly caption: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A part of the report, as text that nothing has been escaped in. */
export interface Section {
  readonly id: string;
  readonly title: string;
  /** Pictures at its beginning, by their ids, where the form has pictures. */
  readonly charts?: readonly string[];
  readonly paragraphs?: readonly string[];
  readonly tables?: readonly Table[];
  /** Parts within this part. */
  readonly parts?: readonly Section[];
}

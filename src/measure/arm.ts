import type { Arm, Evaluation } from '../model/shapes.js';

/**
 * The arm that an evaluation put its user in. A boolean flag is in treatment exactly when the value served is `true`,
 * an erroneous evaluation's default included, because that is the code that ran. Any other flag is in treatment when
 * a variant was assigned and no error put the default in its place.
 */
export function armOf(evaluation: Evaluation): Arm {
  const { value } = evaluation;
  const treated =
    typeof value === 'boolean'
      ? value
      : evaluation.variant !== undefined && evaluation.errorCode === undefined;
  return treated ? 'treatment' : 'control';
}

import { formatCount } from '../support/wording.js';
import type { Concentration, Verdict } from './shapes.js';

/** The name under which error types stand beside attributes. */
export const ERROR_TYPE = 'errorType';

/** The attribute of an outcome that names its variant. */
export const VARIANT = 'variant';

/** `13 of 14 failing users have contentType "text/csv" (control: 1 of 5, other outcomes: 8 %)` */
function describeConcentration({ attribute, value, treatment, control, others }: Concentration): string {
  const what = attribute === ERROR_TYPE ? `fail with ${value}` : `have ${attribute} ${JSON.stringify(value)}`;
  const elsewhere = attribute === VARIANT ? "the treatment's other outcomes" : 'other outcomes';
  const compared = [
    control.of > 0 ? `control: ${formatCount(control.count)} of ${formatCount(control.of)}` : '',
    others.of > 0 && attribute !== ERROR_TYPE ? `${elsewhere}: ${Math.round(shareOf(others) * 100)} %` : '',
  ].filter((part) => part !== '');
  const rest = compared.length === 0 ? '' : ` (${compared.join(', ')})`;
  return `${formatCount(treatment.count)} of ${formatCount(treatment.of)} failing users ${what}${rest}`;
}

/** Where the treatment fails, by the verdicts of one decision, as sentences with a space before each; empty when nothing stands out. */
export function describeFailing(verdicts: readonly Verdict[]): string {
  const failing = verdicts.find((verdict) => (verdict.failing?.length ?? 0) > 0)?.failing ?? [];
  return failing.map((each) => ` ${describeConcentration(each)}.`).join('');
}

function shareOf({ count, of }: Concentration['treatment']): number {
  return of === 0 ? 0 : count / of;
}

import type { Attributes } from '@opentelemetry/api';
import { boundedErrorType, MAX_ERROR_TYPES } from '../measure/error-counts.js';
import type { Outcome, Result } from '../model/shapes.js';

/** OpenTelemetry's own word for an `error.type` beyond those that are distinguished. */
const OTHER_ERRORS = '_OTHER';

/** Outcomes that are alike. The attributes are made once, so that counting allocates nothing. */
export interface Series {
  count: number;
  readonly attributes: Attributes;
  /** Without error type and fallback: each of them would cost a whole histogram. */
  readonly durationAttributes: Attributes;
}

const RESULT_INDEX: Readonly<Record<Result, number>> = { success: 0, failure: 1, expected: 2, aborted: 3 };

/**
 * The outcomes of one flag by arm, result, error type and fallback: a bounded number of series, as error types beyond the
 * first {@link MAX_ERROR_TYPES} are one.
 */
export class OutcomeSeries {
  /** Every series that has counted something. */
  readonly all: Series[] = [];
  readonly #flag: Attributes;
  readonly #withoutError: Series[] = [];
  readonly #byErrorType = new Map<string, Series[]>();
  readonly #durations: Attributes[] = [];

  /** @param flag - Attributes of the flag. */
  constructor(flag: Attributes) {
    this.#flag = flag;
  }

  /** The series that an outcome belongs to. */
  of({ result, errorType, fallbackUsed, exposure }: Outcome): Series {
    const type = result === 'success' || errorType === undefined ? '' : boundedErrorType(errorType);
    const some = type === '' ? this.#withoutError : (this.#byErrorType.get(type) ?? this.#newType(type));
    const kind = (exposure.arm === 'treatment' ? 4 : 0) + RESULT_INDEX[result];
    const index = kind * 2 + (fallbackUsed ? 1 : 0);
    const known = some[index];
    if (known !== undefined) return known;
    this.#durations[kind] ??= {
      ...this.#flag,
      'rollout_guard.arm': exposure.arm,
      'rollout_guard.result': result,
    };
    const durationAttributes = this.#durations[kind];
    const named = this.#byErrorType.get(type) === some ? type : OTHER_ERRORS;
    const error = type === '' ? {} : { 'error.type': named };
    const attributes = { ...durationAttributes, 'rollout_guard.fallback': fallbackUsed, ...error };
    const added: Series = { count: 0, attributes, durationAttributes };
    some[index] = added;
    this.all.push(added);
    return added;
  }

  #newType(type: string): Series[] {
    const key = this.#byErrorType.size < MAX_ERROR_TYPES ? type : OTHER_ERRORS;
    const known = this.#byErrorType.get(key) ?? [];
    this.#byErrorType.set(key, known);
    return known;
  }
}

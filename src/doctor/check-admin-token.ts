import { isAdminError } from '../unleash/admin-error.js';
import { type Finding, finding } from './finding.js';
import type { AdminObservation, Observations, Target } from './observations.js';
import { isUnknownPath, type Permission, readChangeRequests, readUser } from './observed-replies.js';

type Observed = Exclude<AdminObservation, { readonly tokenProblem: string }>;

const WITHOUT_CHANGES = 'cannot be verified without changing something';

/** Whether Unleash accepts the guard's token, and lets it do what a stop needs. */
export function checkAdmin({ target, admin }: Observations): Finding[] {
  if (admin === undefined) {
    return [
      finding(
        'admin-token',
        'unknown',
        'No admin token was given.',
        'Set UNLEASH_ADMIN_TOKEN to have it checked.',
      ),
    ];
  }
  if (admin.tokenProblem !== undefined) {
    return [
      finding(
        'admin-token',
        'fail',
        `The admin token cannot be used: ${admin.tokenProblem}.`,
        "Use a service account's token, a personal access token, or an admin token.",
      ),
    ];
  }
  const token = checkToken(admin);
  if (token.status !== 'ok') return [token];
  const permissions = readUser(admin.user)?.permissions;
  return [
    token,
    checkPermission(target, permissions),
    checkHistory(admin.history),
    checkChangeRequests(target, admin, permissions),
  ];
}

function checkToken({ user }: Observed): Finding {
  const check = 'admin-token';
  if ('noAnswer' in user) {
    return finding(check, 'unknown', `It could not be checked: Unleash does not answer (${user.noAnswer}).`);
  }
  if (user.status === 401) {
    return finding(
      check,
      'fail',
      'Unleash does not know the admin token: it is wrong, deleted or expired.',
      'Create a new one; a personal access token ends with its expiry date or its user.',
    );
  }
  if (user.status === 403) {
    return finding(
      check,
      'fail',
      'This is not a token for the admin API.',
      "Use a service account's token, a personal access token, or an admin token.",
    );
  }
  if (user.status === 200) return finding(check, 'ok', 'Unleash accepts the admin token.');
  return finding(
    check,
    'fail',
    `The admin API answers ${user.status} to GET /api/admin/user.`,
    'Give the URL of Unleash itself: Unleash Edge and the frontend proxy have no admin API.',
  );
}

function checkPermission(target: Target, permissions: readonly Permission[] | undefined): Finding {
  const check = 'admin-permission';
  const where = `project "${target.project}" in "${target.environment}"`;
  if (permissions === undefined) {
    return finding(check, 'unknown', `Whether the token may turn flags off ${WITHOUT_CHANGES}.`);
  }
  if (!mayDo(permissions, 'UPDATE_FEATURE_ENVIRONMENT', target)) {
    return finding(
      check,
      'fail',
      `The admin token may not turn flags off in ${where}.`,
      'Give its user or service account a role with UPDATE_FEATURE_ENVIRONMENT for that project and environment.',
    );
  }
  if (!mayDo(permissions, 'UPDATE_FEATURE', target)) {
    return finding(
      check,
      'warn',
      `The admin token may turn flags off in ${where}, but not tag them or link the report.`,
      'Add UPDATE_FEATURE for the project to see in the Unleash UI what the guard stopped.',
    );
  }
  return finding(check, 'ok', `The admin token may turn flags off in ${where}.`);
}

function checkHistory(history: Observed['history']): Finding {
  const check = 'admin-history';
  if (!isAdminError(history)) return finding(check, 'ok', "The flag's history can be read.");
  return finding(
    check,
    history.retryable ? 'unknown' : 'warn',
    `The flag's history cannot be read: ${history.message}`,
    'Without it, a guard that restarts during a stop cannot see that an operator turned the flag on in between.',
  );
}

function checkChangeRequests(
  target: Target,
  { changeRequests }: Observed,
  permissions: readonly Permission[] | undefined,
): Finding {
  const check = 'change-requests';
  const { environment } = target;
  if (isUnknownPath(changeRequests)) {
    return finding(check, 'ok', 'This Unleash has no change requests.');
  }
  const settings = readChangeRequests(changeRequests);
  if (settings === undefined) {
    const why = 'status' in changeRequests ? `status ${changeRequests.status}` : changeRequests.noAnswer;
    return finding(
      check,
      'unknown',
      `Whether "${environment}" needs change requests ${WITHOUT_CHANGES}: its settings cannot be read (${why}).`,
      "Check the project's settings in Unleash. If it does, give the token SKIP_CHANGE_REQUEST.",
    );
  }
  const isOn = settings.some(
    (setting) => setting.environment === environment && setting.changeRequestEnabled,
  );
  if (!isOn) return finding(check, 'ok', `"${environment}" needs no change requests.`);
  const skips = permissions?.some(
    (permission) => permission.permission === 'SKIP_CHANGE_REQUEST' && appliesTo(permission, target),
  );
  if (skips === true) {
    return finding(check, 'ok', `"${environment}" needs change requests, and the admin token may skip them.`);
  }
  const isAdmin = permissions?.some(({ permission }) => permission === 'ADMIN') ?? true;
  return isAdmin
    ? finding(
        check,
        'warn',
        `"${environment}" needs change requests; whether this token may skip them ${WITHOUT_CHANGES}.`,
        'Try it once with an unused flag, or give the token SKIP_CHANGE_REQUEST explicitly.',
      )
    : finding(
        check,
        'fail',
        `"${environment}" needs change requests, and the admin token may not skip them: a stop would wait for approval.`,
        'Give its user or service account SKIP_CHANGE_REQUEST for that project and environment.',
      );
}

/** Unleash's own rule: a permission without project or environment, or with `*`, applies to all of them. */
function mayDo(permissions: readonly Permission[], wanted: string, target: Target): boolean {
  return permissions.some(
    (permission) =>
      (permission.permission === wanted || permission.permission === 'ADMIN') &&
      appliesTo(permission, target),
  );
}

function appliesTo({ project, environment }: Permission, target: Target): boolean {
  const fits = (limit: string | null | undefined, value: string) =>
    !limit || limit === '*' || limit === value;
  return fits(project, target.project) && fits(environment, target.environment);
}

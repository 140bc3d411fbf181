/** Longer strings are cut: messages are short. */
const LONGEST_STRING = 60;
/** Only so much of a string is examined: the time for it grows with the square of its length. */
const LONGEST_EXAMINED = 1_000;

/** Names under which a secret may be configured; a header or a webhook URL is one too. `flagKey` is not. */
const SECRET_NAME =
  /token|secret|passw|passphrase|authorization|credential|cookie|headers|webhook|dsn|^key$|(api|access|private|encryption|signing)[-_]?key/i;

/** The form of a secret, wherever it was put by mistake: an Unleash token, an Authorization value, a JWT, a key. */
const SECRET_FORM =
  /^[^\s:/]+:[^\s:/]+\.\S{8,}$|^(bearer|basic)\s|^eyJ[\w-]+\.|^user:[0-9a-f]{16,}$|^[0-9a-f]{32,}$|^\s*-----BEGIN .*KEY-----/i;

/**
 * Describes a configured value for an error message: short, and without secrets. Text under a name such as `token`,
 * `authorization` or `headers`, and text in the form of a token, is shown by its type only; the user and password of
 * a URL are left out; objects are never opened.
 *
 * @param path - Where the value is in the configuration; any part of it can mark the value as secret.
 */
export function describeReceived(value: unknown, path: readonly PropertyKey[]): string {
  switch (typeof value) {
    case 'undefined':
      return 'nothing';
    case 'string':
      return describeString(value, path);
    case 'number':
    case 'bigint':
    case 'boolean':
      return isSecretPath(path) ? `a ${typeof value}` : String(value);
    case 'object':
      return describeObject(value);
    default:
      return `a ${typeof value}`;
  }
}

function describeString(whole: string, path: readonly PropertyKey[]): string {
  const value = whole.slice(0, LONGEST_EXAMINED);
  if (value === '') return 'an empty string';
  if (isSecretPath(path) || SECRET_FORM.test(value)) return 'a string (not shown)';
  const shown = withoutUserInfo(value);
  return JSON.stringify(shown.length > LONGEST_STRING ? `${shown.slice(0, LONGEST_STRING)}…` : shown);
}

/** `https://user:password@host?token=…` without what may be secret in it; a URL need not be valid for that. */
function withoutUserInfo(text: string): string {
  const withoutScheme = text.replace(/^[^\s/]*:[^\s/]\S*@/, '…@');
  return withoutScheme.replace(/\/\/\S*@/, '//…@').replace(/^(\w+:\/\/[^?#]*)[?#].*$/s, '$1?…');
}

function describeObject(value: object | null): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : `an array of ${value.length}`;
  const name = Object.getPrototypeOf(value)?.constructor?.name;
  return typeof name !== 'string' || name === 'Object' || name === '' ? 'an object' : `an object (${name})`;
}

function isSecretPath(path: readonly PropertyKey[]): boolean {
  return path.some((part) => typeof part === 'string' && SECRET_NAME.test(part));
}

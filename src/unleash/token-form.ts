/**
 * What is wrong with a token of any kind, as far as its form shows it.
 *
 * @param wanted - What is expected in its place.
 * @returns a phrase that never repeats the token; undefined when nothing is wrong.
 */
export function tokenFormProblem(token: string, wanted: string): string | undefined {
  if (token.trim() === '') return `the token is empty; expected ${wanted}`;
  if (/^(undefined|null)$/.test(token)) {
    return `the token is the word "${token}": what it should be read from is not set; expected ${wanted}`;
  }
  if (/^(\$\{.*\}|\$\(.*\)|\$\w+|%\w+%|\{\{.*\}\}|<.*>)$/.test(token)) {
    return `the token is a placeholder, which nothing has replaced; expected ${wanted}`;
  }
  if (/^(["'`]).*\1$/s.test(token)) return 'the token is in quotation marks; expected the token alone';
  if (/^bearer\s/i.test(token)) return 'the token begins with "Bearer"; expected the token alone';
  // Anything else cannot travel in a header.
  if (!/^[\x21-\x7e]+$/.test(token)) return 'the token contains white space or characters that no token has';
  return undefined;
}

/** The address under which both Unleash's UI and its API lie, from one that may end in `/api`. */
export function baseUrlOf(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname.replace(/\/+$/, '').replace(/\/api$/, '');
}

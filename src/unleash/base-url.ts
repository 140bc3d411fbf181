/** The address under which both Unleash's UI and its API lie, from one that may end in `/api`. */
export function baseUrlOf(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname.replace(/\/+$/, '').replace(/\/api$/, '');
}

/** A flag's page in Unleash's UI. */
export function flagPageUrl({ url, project }: { url: string; project: string }, flagKey: string): string {
  return `${baseUrlOf(url)}/projects/${encodeURIComponent(project)}/features/${encodeURIComponent(flagKey)}`;
}

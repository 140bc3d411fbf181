// A TypeDoc plugin: every public symbol, and every field of one, has a description. TypeDoc's own `notDocumented` asks for
// one wherever a type is shown, not only where it is declared.
import { Application, ReflectionKind as Kind, PageEvent, RendererEvent } from 'typedoc';

const DESCRIBED =
  Kind.Variable |
  Kind.Function |
  Kind.Class |
  Kind.Interface |
  Kind.TypeAlias |
  Kind.Property |
  Kind.Method |
  Kind.Accessor;

/** The literals that a type consists of, without those in the arguments of another. */
function literalsOf(type) {
  if (type?.type === 'reflection') return [type.declaration];
  return (type?.types ?? []).flatMap(literalsOf);
}

/** Whether it is shown here and declared elsewhere, has nothing to say, or overrides what is described. */
function needsNone(reflection) {
  const { type, overwrites, parent } = reflection;
  if (type?.type === 'intrinsic' && type.name === 'undefined') return true;
  if (overwrites?.name === 'Error.name') return true;
  if (!parent?.kindOf(Kind.TypeLiteral)) return false;
  const alias = parent.parent;
  if (!alias?.kindOf(Kind.TypeAlias) || !literalsOf(alias.type).includes(parent)) return true;
  const [declared] = reflection.sources ?? [];
  const [shown] = alias.sources ?? [];
  return declared?.fullFileName !== shown?.fullFileName || declared.line < shown.line;
}

function isDescribed(reflection) {
  const signatures = [reflection, ...literalsOf(reflection.type)].flatMap((each) => each.signatures ?? []);
  return [reflection, reflection.getSignature, ...signatures].some(
    (part) => part?.comment?.summary.length > 0,
  );
}

/** @param {Application} app */
export function load(app) {
  app.on(Application.EVENT_VALIDATE_PROJECT, (project) => {
    for (const reflection of project.getReflectionsByKind(DESCRIBED)) {
      const [source] = reflection.sources ?? [];
      if (source?.fullFileName.includes('/node_modules/')) continue;
      if (needsNone(reflection) || isDescribed(reflection)) continue;
      const place = `${source?.fileName}:${source?.line}`;
      app.logger.validationWarning(`${place}: ${reflection.getFullName()} has no description.`);
    }
  });
  // Places change with every edit above them: the reference would always be out of date.
  app.renderer.on(RendererEvent.BEGIN, ({ project }) => {
    for (const reflection of project.getReflectionsByKind(Kind.All)) delete reflection.sources;
  });
  // The Markdown plugin counts `FlagSource.health` and `FlagSourceHealth` as one name, and numbers links to a heading that is alone.
  app.renderer.on(PageEvent.END, (page) => {
    const headings = new Set(
      [...page.contents.matchAll(/^#+ (\w+)$/gm)].map(([, name]) => name.toLowerCase()),
    );
    page.contents = page.contents.replaceAll(/\(#(\w+)-1\)/g, (link, name) => {
      const isAlone =
        headings.has(name) && page.contents.match(new RegExp(`^#+ ${name}\\b`, 'gim')).length === 1;
      return isAlone ? `(#${name})` : link;
    });
  });
}

// A TypeDoc plugin: what a schema infers is shown by the name under which it is exported, and not in full wherever it is used.
import { Converter, ReflectionKind as Kind, ReferenceType } from 'typedoc';

/** Entry points as users import them. */
const ENTRY_POINTS = { index: 'unleash-rollout-guard', 'fleet/redis': 'redis' };

const isInferred = (reflection) =>
  reflection.extendedTypes?.some((type) => type.package === 'zod' || `${type}`.includes('z.infer'));

const fieldsOf = (reflection) =>
  (reflection.children ?? [])
    .map(({ name, flags }) => `${name}${flags.isOptional ? '?' : ''}`)
    .sort()
    .join();

const byText = (one, other) => (`${one}` < `${other}` ? -1 : 1);

/** The same type with every part that `known` has under its name. */
function named(type, known, project) {
  switch (type?.type) {
    case 'reflection': {
      const match = known.get(fieldsOf(type.declaration));
      if (match !== undefined) return ReferenceType.createResolvedReference(match.name, match, project);
      for (const field of type.declaration.children ?? []) field.type = named(field.type, known, project);
      return type;
    }
    case 'reference': {
      type.typeArguments = type.typeArguments?.map((each) => named(each, known, project));
      const [only] = type.typeArguments ?? [];
      // An exported interface is read-only by itself.
      return type.name === 'Readonly' && only?.type === 'reference' ? only : type;
    }
    case 'array':
      type.elementType = named(type.elementType, known, project);
      return type;
    case 'typeOperator':
      type.target = named(type.target, known, project);
      return type;
    case 'union':
      type.types = type.types.map((each) => named(each, known, project));
      // The compiler's order depends on what it happened to compile before.
      if (type.types.every((each) => each.type === 'literal')) type.types.sort(byText);
      return type;
    default:
      return type;
  }
}

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const entry of project.children) entry.name = ENTRY_POINTS[entry.name] ?? entry.name;
  });
  const nameAll = ({ project }) => {
    const inferred = project.getReflectionsByKind(Kind.Interface).filter(isInferred);
    const known = new Map(inferred.map((reflection) => [fieldsOf(reflection), reflection]));
    for (const reflection of project.getReflectionsByKind(Kind.All)) {
      if (reflection.type !== undefined) reflection.type = named(reflection.type, known, project);
      if (reflection.inheritedFrom?.name.startsWith('z.infer')) delete reflection.inheritedFrom;
    }
    for (const reflection of inferred) {
      delete reflection.extendedTypes;
      delete reflection.typeHierarchy;
    }
  };
  // After TypeDoc's own listeners, which add the hierarchy.
  app.converter.on(Converter.EVENT_RESOLVE_END, nameAll, -1_000);
}

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

export type Labels = Readonly<Record<string, string>>;

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

/** As much of a container as tests read. */
export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly workingDir: string;
  readonly env: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: { readonly secretKeyRef: { readonly name: string; readonly key: string } };
  }[];
  readonly envFrom: readonly {
    readonly configMapRef?: { readonly name: string };
    readonly secretRef?: { readonly name: string };
  }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe?: Probe;
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
  readonly lifecycle?: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
  readonly securityContext: object;
  readonly resources: object;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface Selector {
  readonly matchLabels: Labels;
}

/** As much of any manifest as tests read. */
export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Labels;
  readonly resources?: readonly string[];
  readonly spec: {
    readonly replicas: number;
    readonly selector: Selector;
    readonly podSelector: Selector;
    readonly ports?: readonly { readonly targetPort: string }[];
    readonly ingress?: readonly { readonly ports: readonly { readonly port: string }[] }[];
    readonly podMetricsEndpoints?: readonly { readonly port: string; readonly path: string }[];
    readonly template: {
      readonly metadata: { readonly labels: Labels };
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly securityContext: object;
        readonly containers: readonly [Container];
        readonly volumes: readonly { readonly name: string; readonly emptyDir?: object }[];
        readonly topologySpreadConstraints?: readonly { readonly labelSelector: Selector }[];
      };
    };
  };
}

/** The manifests of a folder, by file. @throws when one is no YAML. */
export async function readManifests(folder: string): Promise<ReadonlyMap<string, readonly Manifest[]>> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.yaml')).sort();
  const read = files.map(async (file) => {
    const documents = parseAllDocuments(await readFile(join(folder, file), 'utf8'), { strict: true });
    if (!Array.isArray(documents)) throw new Error(`${file} is empty`);
    for (const { errors, warnings } of documents) for (const error of [...errors, ...warnings]) throw error;
    return [file, documents.map((document) => document.toJS() as Manifest)] as const;
  });
  return new Map(await Promise.all(read));
}

/** Whether a selector finds pods with these labels. */
export function selects(selector: Labels, labels: Labels): boolean {
  return Object.entries(selector).every(([name, value]) => labels[name] === value);
}

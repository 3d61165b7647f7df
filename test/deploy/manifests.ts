import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { z } from 'zod'

export const root = resolve(import.meta.dirname, '../..')

/** A Kubernetes object as it was read; what is inside was checked against the schema or is about to be. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Record<string, string> }
  readonly spec?: unknown
  readonly data?: Readonly<Record<string, string>>
  readonly rules?: readonly Rule[]
}

export interface Rule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly resourceNames?: readonly string[]
  readonly verbs: readonly string[]
}

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string | number }
}

export interface Container {
  readonly name: string
  readonly restartPolicy?: string
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[]
  readonly startupProbe?: Probe
  readonly livenessProbe?: Probe
  readonly readinessProbe?: Probe
  readonly resources: { readonly requests?: Record<string, string>; readonly limits?: Record<string, string> }
  readonly securityContext?: Record<string, unknown>
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[]
}

export interface PodSpec {
  readonly automountServiceAccountToken?: boolean
  readonly serviceAccountName?: string
  readonly terminationGracePeriodSeconds?: number
  readonly securityContext?: Record<string, unknown>
  readonly initContainers?: readonly Container[]
  readonly containers: readonly Container[]
  readonly volumes: readonly { readonly name: string }[]
}

export interface Workload {
  readonly replicas?: number
  readonly strategy?: { readonly type: string }
  readonly selector?: { readonly matchLabels: Record<string, string> }
  readonly template: { readonly metadata: { readonly labels: Record<string, string> }; readonly spec: PodSpec }
}

/** Every object of a YAML file, read as strictly as the API server does: duplicate keys are errors. */
export function readManifests(file: string): Manifest[] {
  const documents = parseAllDocuments(readFileSync(join(root, file), 'utf8'), { version: '1.1', uniqueKeys: true })
  if (!Array.isArray(documents)) throw new Error(`${file} holds nothing`)
  return documents.map((document) => {
    if (document.errors.length > 0) throw new Error(`${file}: ${document.errors.join('; ')}`)
    return document.toJS() as Manifest
  })
}

const schemaFile = join(import.meta.dirname, 'kubernetes-1.37.schema.json')
const schema = JSON.parse(readFileSync(schemaFile, 'utf8')) as {
  kinds: Record<string, { $ref: string }>
  $defs: object
}
const validators = new Map<string, z.ZodType>()

/** What the API of Kubernetes 1.37 would refuse in this object; unknown fields too. */
export function schemaProblems(manifest: Manifest): string[] {
  const kind = `${manifest.apiVersion}/${manifest.kind}`
  const known = schema.kinds[kind]
  if (known === undefined) return [`${kind} is not in ${schemaFile}`]
  const validator =
    validators.get(kind) ?? z.fromJSONSchema({ ...known, $defs: schema.$defs } as z.core.JSONSchema.JSONSchema)
  validators.set(kind, validator)
  const { error } = validator.safeParse(manifest)
  return (error?.issues ?? []).map(
    ({ path, message }) => `${kind} ${manifest.metadata.name} ${path.join('.')}: ${message}`,
  )
}

export function workload(manifest: Manifest): Workload | undefined {
  return ['Deployment', 'Job'].includes(manifest.kind) ? (manifest.spec as Workload) : undefined
}

export const sidecarOf = ({ initContainers = [], containers }: PodSpec): Container | undefined =>
  [...initContainers, ...containers].find(({ name }) => name === 'bearer-sidecar')

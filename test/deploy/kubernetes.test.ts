import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { globSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { loadConfig, type LoadedConfig } from '../../src/config/load.ts'
import { leaseName } from '../../src/stores/kubernetes-lease.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { readManifests, root, schemaProblems, sidecarOf, workload, type Manifest } from './manifests.ts'

const files = [
  ...globSync('deploy/kubernetes/*.yaml', { cwd: root }),
  ...globSync('test/deploy/rendered/*.yaml', { cwd: root }),
].sort()
const objects = files.flatMap((file) => readManifests(file).map((manifest) => ({ file, manifest })))
const pods = objects.flatMap(({ file, manifest }) => {
  const spec = workload(manifest)
  return spec === undefined ? [] : [{ file, manifest, spec, pod: spec.template.spec }]
})

/** The config file inside a ConfigMap, loaded as the program would, with a file for every secret that it names. */
async function loadFrom(t: TestContext, manifest: Manifest): Promise<LoadedConfig> {
  const directory = tempDir(t)
  let text = manifest.data?.['config.yaml'] ?? ''
  for (const [, name = ''] of text.matchAll(/\/etc\/bearer-sidecar\/([a-z-]+)/g))
    writeFileSync(join(directory, name), randomBytes(32).toString('base64'))
  text = text.replaceAll('/etc/bearer-sidecar/', `${directory}/`)
  writeFileSync(join(directory, 'config.yaml'), text)
  return await loadConfig({ file: join(directory, 'config.yaml'), env: { NODE_ENV: 'production' }, cwd: directory })
}

const configMaps = objects.filter(
  ({ manifest }) => manifest.kind === 'ConfigMap' && manifest.data?.['config.yaml'] !== undefined,
)

describe('Kubernetes manifests', () => {
  it('are found, the rendered chart too', () => {
    assert.ok(files.length >= 9, files.join(' '))
    assert.ok(pods.length >= 7)
  })

  it('are what the API of Kubernetes accepts, unknown fields refused', () => {
    assert.deepEqual(
      objects.flatMap(({ file, manifest }) => schemaProblems(manifest).map((problem) => `${file}: ${problem}`)),
      [],
    )
  })

  it('are checked by a schema that finds a wrong name, a wrong type and an unknown kind', () => {
    const [first] = pods
    assert.ok(first)
    const text = JSON.stringify(first.manifest)
    const problems = (from: string, to: string) => schemaProblems(JSON.parse(text.replace(from, to)) as Manifest)
    assert.match(problems('"livenessProbe"', '"livenesProbe"')[0] ?? '', /Unrecognized key: "livenesProbe"/)
    assert.match(problems('"periodSeconds":1,', '"periodSeconds":"1",')[0] ?? '', /periodSeconds: .*expected number/)
    assert.match(problems(first.manifest.apiVersion, 'apps/v0')[0] ?? '', /is not in/)
  })

  for (const { file, manifest, spec, pod } of pods) {
    const sidecar = sidecarOf(pod)

    describe(`${file}: ${manifest.kind} ${manifest.metadata.name}`, () => {
      it('runs every container without root, without capabilities and on a read-only root', () => {
        for (const container of [...(pod.initContainers ?? []), ...pod.containers]) {
          const context = { ...pod.securityContext, ...container.securityContext }
          assert.equal(context['runAsNonRoot'], true, container.name)
          assert.equal(context['allowPrivilegeEscalation'], false, container.name)
          assert.equal(context['readOnlyRootFilesystem'], true, container.name)
          assert.deepEqual(context['capabilities'], { drop: ['ALL'] }, container.name)
          assert.deepEqual(context['seccompProfile'], { type: 'RuntimeDefault' }, container.name)
          assert.ok(container.resources.requests?.['memory'] && container.resources.limits?.['memory'], container.name)
        }
        const context = { ...pod.securityContext, ...sidecar?.securityContext }
        assert.deepEqual([context['runAsUser'], context['runAsGroup']], [65532, 65532])
      })

      it('probes the sidecar on a port that serves probes, and never its liveness by the state of a token', () => {
        assert.ok(sidecar)
        const ports = new Map(sidecar.ports?.map(({ name, containerPort }) => [name, containerPort]))
        assert.equal(ports.get('probes'), 9091)
        assert.deepEqual(sidecar.startupProbe?.httpGet, { path: '/startupz', port: 'probes' })
        assert.deepEqual(sidecar.livenessProbe?.httpGet, { path: '/livez', port: 'probes' })
        if (sidecar.readinessProbe)
          assert.deepEqual(sidecar.readinessProbe.httpGet, { path: '/readyz', port: 'probes' })
      })

      it('begins before the application and ends after it, where there is one', () => {
        if (pod.containers.some((container) => container === sidecar)) return
        assert.equal(
          sidecar?.restartPolicy,
          'Always',
          'an init container with restartPolicy Always is a native sidecar',
        )
      })

      it('mounts only volumes that exist, and all of them', () => {
        const mounted = [...(pod.initContainers ?? []), ...pod.containers].flatMap((container) =>
          (container.volumeMounts ?? []).map(({ name }) => name),
        )
        assert.deepEqual([...new Set(mounted)].sort(), pod.volumes.map(({ name }) => name).sort())
      })

      it('gives the Kubernetes API token to the sidecar alone', () => {
        const applications = pod.containers.filter((container) => container !== sidecar)
        if (applications.length > 0) assert.equal(pod.automountServiceAccountToken, false)
        for (const { volumeMounts = [] } of applications) {
          assert.ok(!volumeMounts.some(({ mountPath }) => mountPath.includes('serviceaccount')))
        }
      })

      it('selects its own pods', () => {
        const labels = spec.template.metadata.labels
        for (const [name, value] of Object.entries(spec.selector?.matchLabels ?? {})) assert.equal(labels[name], value)
      })
    })
  }

  for (const { file, manifest } of configMaps) {
    it(`${file}: the config is valid and fits the objects beside it`, async (t) => {
      const { config, warnings } = await loadFrom(t, manifest)
      assert.deepEqual(
        warnings.filter(({ path }) => path !== 'proxy.listen'),
        [],
      )
      assert.deepEqual(config.admin.probesListen, ['0.0.0.0:9091'])
      assert.deepEqual(config.admin.listen, ['127.0.0.1:9090'], 'the login is not reachable from outside the pod')

      const beside = pods.filter((pod) => pod.file === file)
      for (const { spec, pod } of beside) {
        const grace = pod.terminationGracePeriodSeconds ?? 30
        assert.ok(grace * 1000 > config.proxy.shutdownGrace, 'Kubernetes must wait longer than the sidecar')
        const sharable = config.store.type === 'kubernetes' || config.store.type === 'redis'
        assert.ok(sharable || (spec.replicas === 1 && spec.strategy?.type === 'Recreate'), 'one process per store')
      }
      if (config.store.type === 'file') {
        const mounts = beside.flatMap(({ pod }) => sidecarOf(pod)?.volumeMounts ?? [])
        const inside = mounts.filter(({ mountPath }) => config.store.directory.startsWith(`${mountPath}/`))
        assert.deepEqual(
          inside.map(({ name }) => name),
          ['tokens'],
          'in a volume, but not its group-writable root',
        )
      }
      if (config.store.type !== 'kubernetes') return

      const neighbours = readManifests(file.startsWith('deploy') ? 'deploy/kubernetes/tokens.yaml' : file)
      const names = neighbours.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
      const leases = Object.keys(config.credentials).map((credential) =>
        leaseName(config.store.secretName, { credential }),
      )
      assert.ok(names.includes(`Secret ${config.store.secretName}`))
      for (const lease of leases) assert.ok(names.includes(`Lease ${lease}`), lease)
      const account = beside[0]?.pod.serviceAccountName
      assert.ok(names.includes(`ServiceAccount ${account}`))
      const role = neighbours.find(({ kind }) => kind === 'Role')
      assert.deepEqual(
        role?.rules?.map(({ resources, resourceNames }) => [resources[0], resourceNames]),
        [
          ['secrets', [config.store.secretName]],
          ['leases', leases],
        ],
      )
    })
  }

  it('give no right without a name, but for creating what the user did not want created in advance', () => {
    const open = objects.flatMap(({ file, manifest }) =>
      (manifest.rules ?? []).filter(({ resourceNames }) => resourceNames === undefined).map((rule) => ({ file, rule })),
    )
    assert.deepEqual(
      open.map(({ file, rule }) => [file, rule.resources[0]]),
      [
        ['test/deploy/rendered/monitoring.yaml', 'secrets'],
        ['test/deploy/rendered/monitoring.yaml', 'leases'],
      ],
    )
    const verbs = new Set(objects.flatMap(({ manifest }) => (manifest.rules ?? []).flatMap((rule) => rule.verbs)))
    assert.deepEqual(
      [...verbs].filter((verb) => !['get', 'create', 'update'].includes(verb)),
      [],
    )
  })

  it('hold no secret value', () => {
    const secrets = objects.filter(({ manifest }) => manifest.kind === 'Secret')
    assert.ok(secrets.length > 0)
    for (const { manifest } of secrets)
      assert.deepEqual(
        Object.keys(manifest).filter((key) => /^(data|stringData)$/.test(key)),
        [],
      )
  })
})

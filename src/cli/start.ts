import type { Listening } from '../app-state.ts'
import { App } from '../app.ts'
import { systemClock } from '../clock.ts'
import { loadConfig, type LoadedConfig, type LoadOptions } from '../config/load.ts'
import { ConfigError, formatProblem } from '../config/problems.ts'
import { describeError } from '../errors.ts'
import { ListenError } from '../http/listen.ts'
import { openLog, type Logger } from '../logger.ts'
import { StoreError } from '../stores/token-store.ts'
import { FileWatcher } from './watch-files.ts'
import { growYoungGeneration } from './collector.ts'
import type { Io } from './io.ts'
import type { Signals } from './signals.ts'
import { version } from './version.ts'

export interface StartOptions {
  readonly config?: string
  readonly listen?: string
  readonly adminListen?: string
}

/**
 * Runs the sidecar until a signal. Resolves to the exit code: 0 after a clean end, 1 for a port in use, a store that cannot be used, a second
 * signal, requests cut off at the end of the grace or tokens that could not be saved, 78 for an invalid config.
 */
export async function start(options: StartOptions, io: Io, signals: Signals): Promise<number> {
  const loadOptions: LoadOptions = { file: options.config, env: io.env, cwd: io.cwd, overrides: options }
  const load = () => loadConfig(loadOptions)
  let loaded: LoadedConfig
  try {
    loaded = await load()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    io.stderr(`${error.message}\n`)
    return 78
  }
  const watcher = new FileWatcher(loaded.files)
  const output = await openLog(loaded.config.log, io.terminal)
  const { logger } = output
  logger.info({ version, config: loaded.file }, `bearer-sidecar ${version}`)
  for (const { path, message } of loaded.warnings) logger.warn({ path }, path === '' ? message : `${path}: ${message}`)
  try {
    const app = await App.create(loaded.config, { clock: systemClock, logger, version, env: io.env })
    let listening: Listening
    try {
      listening = await app.start()
    } catch (error) {
      await app.stop(0)
      throw error
    }
    const stopWatching = watchConfig(app, watcher, load, logger, signals)
    announce(logger, listening, loaded)
    // Whoever waits for these lines should not wait for the log's buffer too.
    void output.flush()
    growYoungGeneration()
    const failed = app.failed.then((error) => Promise.reject(error as Error))
    const why = await Promise.race([signals.first, signals.crash, failed])
    stopWatching()
    return await stop(app, loaded, logger, why, signals.second)
  } catch (error) {
    const known = error instanceof ListenError || error instanceof StoreError
    logger.fatal(`cannot start: ${known ? error.message : describeError(error)}`)
    return 1
  } finally {
    await output.flush()
  }
}

/** What an operator looks for first: where requests go, and where it listens. */
function announce(logger: Logger, listening: Listening, { config }: LoadedConfig): void {
  for (const route of config.routes) {
    const credential = [route.credential].flat().join(', ')
    const upstream = new URL(route.upstream)
    logger.info(`route ${route.path} -> ${upstream.origin}${upstream.pathname} with ${credential}`)
  }
  for (const { url } of listening.probes) logger.info({ url }, `probes listening on ${url}`)
  for (const { url } of listening.admin) logger.info({ url }, `admin listening on ${url}`)
  for (const { url } of listening.proxy) logger.info({ url }, `proxy listening on ${url}`)
}

/** SIGHUP and changes of the files reload; an invalid config is told with all its problems and the old one goes on. */
function watchConfig(
  app: App,
  watcher: FileWatcher,
  load: () => Promise<LoadedConfig>,
  logger: Logger,
  signals: Signals,
): () => void {
  let running = Promise.resolve()
  const reload = async () => {
    try {
      const next = await load()
      const fixed = await app.reload(next.config)
      watcher.files = next.files
      logger.info({ config: next.file }, 'configuration reloaded')
      for (const path of fixed) logger.warn({ path }, `${path} changed, which takes effect at the next start`)
    } catch (error) {
      const problems = error instanceof ConfigError ? error.problems.map(formatProblem) : [describeError(error)]
      logger.error({ problems }, 'the new configuration is not valid; the old one goes on')
    }
  }
  // One after the other: a reload that began with older files must not end last.
  const request = () => (running = running.then(reload))
  watcher.start(() => void request())
  signals.onReload(() => void request())
  return () => watcher.close()
}

async function stop(
  app: App,
  { config }: LoadedConfig,
  logger: Logger,
  why: string | Error,
  second: Promise<void>,
): Promise<number> {
  const grace = config.proxy.shutdownGrace
  if (typeof why === 'string')
    logger.info({ signal: why, graceMs: grace }, `${why}: finishing requests in flight; a second signal ends at once`)
  // Frames and message only: properties of a library's error may hold what it failed on.
  else logger.fatal({ stack: why.stack }, 'internal error, ending; please report this')
  const ended = await Promise.race([app.stop(grace), second])
  if (ended === undefined) {
    logger.error('second signal: ended before everything was finished')
    return 1
  }
  for (const credential of ended.unsaved) {
    const nextStep = `Run: bearer-sidecar login ${credential}`
    logger.fatal(
      { credential, nextStep },
      'the newest tokens could not be saved and are lost: a person has to log in again',
    )
  }
  if (ended.cut) logger.error('requests were still running at the end of proxy.shutdownGrace and were cut off')
  return typeof why === 'string' && ended.unsaved.length === 0 && !ended.cut ? 0 : 1
}

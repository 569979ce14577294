/** What an import costs: CPU time and files, in a fresh process each, beside a process that imports nothing. */
import { spawnSync } from 'node:child_process'
import { isWanted } from './harness/options.mjs'

/** Shown in the list of benches. */
export const about = 'what importing each entry of the package costs, in CPU time and files'

const entries = ['keelson', 'keelson/wal', 'keelson/testing', 'keelson/state-machine']

/** Counts the files that are read as modules: Node 20 tells of them through a loader hook, on a thread of its own. */
const counting = `data:text/javascript,${encodeURIComponent(`
  import { register } from 'node:module'
  import { MessageChannel } from 'node:worker_threads'
  const { port1, port2 } = new MessageChannel()
  globalThis.files = new Set()
  port1.on('message', (url) => files.add(url)).unref()
  const hook = "export const initialize = ({ port }) => { globalThis.port = port }\\n" +
    "export const load = (url, context, next) => { port.postMessage(url); return next(url, context) }"
  register('data:text/javascript,' + encodeURIComponent(hook), {
    data: { port: port2 }, transferList: [port2],
  })`)}`

const child = (program, options = []) => {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [...options, '--input-type=module', '-e', program],
    { encoding: 'utf8', cwd: new URL('..', import.meta.url) },
  )
  if (status !== 0) throw new Error(stderr)
  return Number(stdout)
}

const cpuOf = (entry) =>
  child(`const before = process.cpuUsage()
    await import('${entry}')
    const { user, system } = process.cpuUsage(before)
    process.stdout.write(String((user + system) / 1000))`)

/** Of the package's own files and those of its dependencies; CommonJS modules count where Node has them in its cache. */
const filesOf = (entry) =>
  child(
    `import { createRequire } from 'node:module'
    await import('${entry}')
    await new Promise(setImmediate)
    const own = [...files].filter((url) => url.startsWith('file:'))
    const others = Object.keys(createRequire(import.meta.url).cache).map((path) => 'file://' + path)
    process.stdout.write(String(new Set([...own, ...others]).size))`,
    [`--import=${counting}`],
  )

const bareCpu = () =>
  child(`const { user, system } = process.cpuUsage()
    process.stdout.write(String((user + system) / 1000))`)

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]

const repeated = (count, measure) => median(Array.from({ length: count }, measure))

/** Measures each entry. */
export const run = async ({ quick, only, repeats = quick ? 5 : 15 }) => {
  const wanted = entries.filter((entry) => isWanted(only, entry))
  const bare = repeated(repeats, bareCpu)
  console.log(`${'node -e 0'.padEnd(24)} ${bare.toFixed(0).padStart(5)} ms CPU in all`)
  return wanted.map((entry) => {
    const cpuMs = repeated(repeats, () => cpuOf(entry))
    const files = filesOf(entry)
    console.log(
      `${entry.padEnd(24)} ${cpuMs.toFixed(0).padStart(5)} ms CPU more, ${String(files).padStart(3)} files`,
    )
    return { entry, cpuMs, files, bareMs: bare }
  })
}

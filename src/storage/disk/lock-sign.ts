/**
 * A sign of life of a process that holds a lock without the kernel: a socket beside the lock file,
 * which the kernel closes when the process ends in any way. Every process of this kernel can ask
 * whether it is open, also from another pid namespace: that of a container that was restarted.
 */
import { spawnSync } from 'node:child_process'
import { createServer } from 'node:net'

/** A sign that is given until `end`, or until the process ends. */
export type LockSign = { readonly end: () => void }

/** The system cuts longer paths. */
const pathBytesMax = 100

/**
 * Gives a sign at `path`, which nothing has. `undefined` where no socket can be: the path is too
 * long, or the file system has none.
 */
export const giveSign = (path: string): LockSign | undefined => {
  if (Buffer.byteLength(path) > pathBytesMax) return undefined
  const server = createServer((socket) => socket.destroy())
  server.on('error', () => undefined)
  // Exclusive, so that no primary of a cluster is asked: then it listens when this returns.
  server.listen({ path, exclusive: true })
  server.unref()
  if (!server.listening) return undefined
  return { end: () => void server.close() }
}

/** The exit codes of the process that asks. */
const given = 10
const gone = 11

const asking = `import('node:net').then(({ connect }) => connect(process.argv[1])
  .on('connect', () => process.exit(${given}))
  .on('error', ({ code }) => process.exit(['ECONNREFUSED', 'ENOENT'].includes(code) ? ${gone} : 1)))`

/** A separate process asks, because a lock is taken without waiting; ms. */
const askingTimeoutMs = 5_000

/** Whether the sign at `path` is given; `undefined` if that cannot be found out. */
export const hasSign = (path: string): boolean | undefined => {
  const { NODE_OPTIONS: _, ...env } = process.env
  const { status } = spawnSync(process.execPath, ['-e', asking, path], {
    stdio: 'ignore',
    timeout: askingTimeoutMs,
    env,
  })
  return status === given ? true : status === gone ? false : undefined
}

// Loaded before a program (`--import`): `begunThreads` has every thread that is begun for projections, `begunLogThreads` those for
// logs. KEELSON_TROUBLE: `refused`, the system gives no thread for projections; `dying`, it dies before it can do anything.
import { createRequire, syncBuiltinESMExports } from 'node:module'

const threads = createRequire(import.meta.url)('node:worker_threads')
const Thread = threads.Worker
const trouble = process.env.KEELSON_TROUBLE

globalThis.begunThreads = []
globalThis.begunLogThreads = []
threads.Worker = class extends Thread {
  constructor(url, options) {
    const isProjection = options?.name === 'keelson projection'
    if (isProjection && trouble === 'refused') throw new Error('EAGAIN')
    super(
      isProjection && trouble === 'dying' ? new URL('data:text/javascript,throw 1') : url,
      options,
    )
    if (isProjection) globalThis.begunThreads.push(this)
    if (options?.name === 'keelson log') globalThis.begunLogThreads.push(this)
  }
}
syncBuiltinESMExports()

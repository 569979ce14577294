/** Starts a thread server and ends in the way that the argument names; Node must end by itself. */
import { call, cast, createSystem, threadServer } from 'keelson'

const [way] = process.argv.slice(2)
const system = createSystem({ logger: { error() {}, warn() {}, info() {} } })
const ref = await system.start(threadServer(new URL('./thread-counter.mjs', import.meta.url)))
cast(ref, 'note', 'hello')
console.assert((await call(ref, 'heard')).length === 1)

if (way === 'kill' || way === 'exit') {
  // The thread runs this for ever.
  const never = new Int32Array(new SharedArrayBuffer(8))
  call(ref, 'spin', never, { timeoutMs: Number.POSITIVE_INFINITY }).catch(() => undefined)
  await Atomics.waitAsync(never, 1, 0).value
}
// The server in the thread never answers this.
if (way === 'given-up')
  await call(ref, 'never', undefined, { timeoutMs: 20 }).catch(() => undefined)
if (way === 'kill') system.kill(ref)
if (way === 'stop') await system.stop()
if (way === 'exit') process.exit(3)

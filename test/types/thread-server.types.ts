/** Compiled, never run: a thread server has the messages that its user names, and no others. */
import {
  call,
  cast,
  type GenServer,
  type Ref,
  type System,
  threadServer,
  worker,
} from '../../src/runtime/index.ts'

type Hasher = {
  calls: { hash: (bytes: Uint8Array) => string }
  casts: { reset: () => void }
}

declare const system: System

export const uses = async (): Promise<void> => {
  const server: GenServer<Hasher, unknown, number> = threadServer<Hasher, number>('./hasher.js', {
    transfer: ({ kind, payload }) =>
      kind === 'call' ? [(payload as Uint8Array<ArrayBuffer>).buffer] : [],
  })
  const ref: Ref<Hasher> = await system.start(server, 1)
  const text: string = await call(ref, 'hash', new Uint8Array(1))
  cast(ref, 'reset')
  worker('hasher', server, 1)
  const plain = threadServer<Hasher>(new URL('file:///hasher.js'))
  await system.start(plain)
  void text
}

export const misuses = async (ref: Ref<Hasher>): Promise<void> => {
  const server = threadServer<Hasher, number>('./hasher.js')
  // @ts-expect-error: the argument of its init is missing
  await system.start(server)
  // @ts-expect-error: another argument
  await system.start(server, 'one')
  // @ts-expect-error: no such call
  await call(ref, 'digest', new Uint8Array(1))
  // @ts-expect-error: no such option
  threadServer<Hasher>('./hasher.js', { inflight: 1 })
}

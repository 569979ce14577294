/** Compiled, never run: what may be sent to the actors of an instance. */
import {
  type App,
  Batcher,
  type BatcherMessages,
  Control,
  call,
  cast,
  Expirer,
  LmdbWriter,
  type LmdbWriterMessages,
  type Name,
  type Ref,
  Snapshotter,
  WalWriter,
} from '../../src/index.ts'

declare const app: App

export const uses = async (): Promise<void> => {
  const { system } = app
  const writer: Ref<LmdbWriterMessages> = system.to(LmdbWriter.name('orders', 0))
  const lsn: number = await call(writer, 'request', 7)
  const discarded: number = await call(writer, 'discard')
  const named: Name<BatcherMessages> = Batcher.name(0)
  await call(system.to(named), 'stop', undefined, { timeoutMs: 100 })
  const { lsn: covered }: { lsn: number } = await call(system.to(Snapshotter.name(0)), 'snapshot')
  const { outcomes, token } = await call(system.to(Control.name()), 'suspend_all', { leaseMs: 5 })
  void [lsn, discarded, covered, outcomes.length, token.length]
}

export const misuses = (): void => {
  const { system } = app
  // @ts-expect-error: the log gives references to its writer; a user has none
  cast(system.to(LmdbWriter.name(0)), 'enqueueProjectionOutbox', undefined)
  // @ts-expect-error: an append is the store's
  void call(system.to(WalWriter.name(0)), 'append', undefined)
  // @ts-expect-error: a suspension has an owner and an end: control knows them
  void call(system.to(LmdbWriter.name(0)), 'suspend', { token: 'a', flush: true })
  // @ts-expect-error: an LSN is a number
  void call(system.to(LmdbWriter.name(0)), 'request', '7')
  // @ts-expect-error: it takes no message
  void call(system.to(Expirer.name(0)), 'describe')
  // @ts-expect-error: a shard is a number
  LmdbWriter.name('orders')
}

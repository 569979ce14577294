/** Compiled, never run: the server of a log in a tree, and its functions. */
import * as WalServer from '../../src/actors/log/wal-server.ts'
import { type App, type AppTree, supervisor, worker } from '../../src/index.ts'
import { name } from '../../src/runtime/index.ts'

export const tree: AppTree = supervisor('app', {}, [
  WalServer.childSpec('audit', { dir: './audit', syncInterval: 200 }),
  worker('other', WalServer.walServer({ dir: './other' }), { restart: 'transient' }),
])

export const uses = async ({ system }: App): Promise<void> => {
  const log = system.to(name<WalServer.Messages>('audit'))
  const { lsn }: { lsn: number } = await WalServer.append(log, 7, new Uint8Array(1), {
    deadlineMs: 5,
  })
  const checkpoint: number = await WalServer.createCheckpoint(log)
  for await (const { type } of WalServer.read(log, { from: lsn })) type.toFixed()
  for await (const each of WalServer.read(log, { checkpoints: true }))
    if (each.type === 'checkpoint') each.coveredLsn.toFixed()
  const { removed }: { removed: number } = await WalServer.release(log, checkpoint)
  const { report } = await WalServer.describe(log)
  void [removed, report.cutBytes]
}

export const misuses = ({ system }: App): void => {
  const log = system.to(name<WalServer.Messages>('audit'))
  // @ts-expect-error: a folder is needed
  WalServer.walServer({})
  // @ts-expect-error: text is no bytes
  void WalServer.writeEntry(log, 'text')
  // @ts-expect-error: an entry has a type
  void WalServer.append(log, new Uint8Array(1))
  // @ts-expect-error: another process has no log
  void WalServer.sync(system.to(name<{ calls: { sync: () => number } }>('other')))
}

/** Compiled, never run: what the types of `keelson/wal` let through, and what they refuse. */
import {
  type Appended,
  type ReadOptions,
  Wal,
  type WalCheckpoint,
  type WalDescription,
  type WalEntry,
  type WalOptions,
  type WalRepair,
  type WalVerification,
} from '../../src/storage/wal/wal.ts'

declare const wal: Wal

export const uses = async (signal: AbortSignal): Promise<void> => {
  const options: WalOptions = {
    dir: './log',
    enableFsync: true,
    maxFileSize: 16 * 1024 * 1024,
    syncInterval: 200,
    maxDelayMs: 1,
    idleMarkerMs: 100,
    minDurable: 7,
    queueBytes: 1024,
    sectorBytes: 4096,
  }
  const opened: Wal = await Wal.open(options)
  const found: 'clean' | 'unclean' | 'torn' = opened.report.tail
  const { lsn, level }: Appended = await wal.append(1, Buffer.from(found), {
    signal,
    deadlineMs: 5,
  })
  const written: 'written' | undefined = level
  await wal.writeEntry(new Uint8Array(lsn), { whenFull: 'refuse' })
  const durable: number = (await wal.sync()).durableLsn
  const checkpoint: number = await wal.createCheckpoint()
  await wal.createCheckpoint(Buffer.from('state'))
  const { removed }: { removed: number } = await wal.release(checkpoint)
  for await (const entry of wal.read({ from: durable, to: removed })) {
    const type: number = entry.type
    const { bytes, time }: WalEntry = entry
    void [type, bytes, time]
  }
  for await (const item of wal.read({ checkpoints: true, fromCheckpoint: true }))
    if (item.type === 'checkpoint') {
      const { coveredLsn }: WalCheckpoint = item
      void coveredLsn
    } else {
      const { type }: { type: number } = item
      void type
    }
  for await (const { bytes } of wal.readAll()) void bytes
  for await (const { bytes } of wal.readFrom(7)) void bytes
  const repaired: WalRepair = await Wal.repair('./log')
  const verified: WalVerification = await Wal.verify('./log', {
    onProgress: ({ bytes }) => void bytes,
  })
  const described: WalDescription = await wal.describe()
  await wal.close()
  await wal[Symbol.asyncDispose]()
  void [written, repaired.cut?.lsn, verified.verdict, described.mode]
}

export const misuses = async (options: ReadOptions): Promise<void> => {
  // @ts-expect-error: a folder is needed
  await Wal.open({})
  // @ts-expect-error: no such option
  await Wal.open({ dir: './log', fsync: true })
  // @ts-expect-error: an entry has a type
  await wal.append(Buffer.from('x'))
  // @ts-expect-error: text is no bytes
  await wal.writeEntry('x')
  // @ts-expect-error: a type is a number
  await wal.append('1', Buffer.from('x'))
  // @ts-expect-error: no such way to wait
  await wal.writeEntry(Buffer.from('x'), { whenFull: 'drop' })
  // @ts-expect-error: a checkpoint is answered with a number
  const { lsn } = await wal.createCheckpoint()
  // @ts-expect-error: without checkpoints there are none
  for await (const { coveredLsn } of wal.read()) void coveredLsn
  // @ts-expect-error: whether there are checkpoints must be known
  wal.read(options)
  // @ts-expect-error: a description cannot be changed
  wal.report.lastLsn = 1
  void lsn
}

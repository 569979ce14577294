/**
 * What one member may make of the answers of an engine that is sound: a library that it shares with an application, a stale copy,
 * a broken build. Its writes arrive as they are.
 */
import type {
  DirectoryView,
  EngineHead,
  EngineLog,
  EngineSession,
} from '../../../src/storage/index.ts'
import { DirectoryEntry } from '../../../src/storage/ports/cluster-engine.ts'

type EngineReading = Awaited<ReturnType<EngineLog['read']>>

/** What a member makes of the engine's answers. */
export type Misreading = {
  readonly head?: (head: EngineHead) => EngineHead
  readonly read?: (reading: EngineReading) => EngineReading
  readonly view?: (view: DirectoryView) => DirectoryView
  readonly piece?: (piece: Uint8Array) => Uint8Array
}

const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((at) => at ^ 1)

/** By what the member reads. */
export const misreadings: Readonly<Record<string, Misreading>> = {
  'rows as text': {
    head: (head) => ({ ...head, snapshots: JSON.stringify(head.snapshots) as never }),
  },
  'text as bytes': {
    head: (head) => ({ ...head, logId: Buffer.from(head.logId) as never }),
  },
  'numbers as text': {
    head: (head) => ({ ...head, end: { ...head.end, lsn: String(head.end.lsn) as never } }),
  },
  'other bytes': {
    read: (reading) => ({
      ...reading,
      groups: reading.groups.map((group) => ({ ...group, bytes: flipped(group.bytes) })),
    }),
  },
  'missing rows': {
    read: (reading) => ({ ...reading, groups: reading.groups.slice(0, -1) }),
  },
  'stale rows': {
    head: (head) => ({ ...head, end: { ...head.end, lsn: 2, epoch: 1 } }),
  },
  'wrong numbers': {
    head: (head) => ({ ...head, trimmed: { ...head.trimmed, lsn: head.end.lsn + 7 } }),
  },
  'other bytes of files': { piece: flipped },
  'parts of entries': {
    view: (view) => ({
      ...view,
      entries: new Map(
        [...view.entries].map(([name, { value, revision }]) => [
          name,
          new DirectoryEntry(value.slice(1), revision),
        ]),
      ),
    }),
  },
}

const same = <T>(value: T): T => value

/** The port with some calls of its own. */
const withCalls = <T extends object>(port: T, calls: Partial<T>): T =>
  new Proxy(port, {
    get: (target, name) => {
      const found: unknown = Reflect.get(Object.hasOwn(calls, name) ? calls : target, name)
      return typeof found === 'function' ? found.bind(target) : found
    },
  })

/** The session, whose answers a member reads as `misreading` says at that moment. */
export const misread = <S extends EngineSession>(
  session: S,
  misreading: () => Misreading | undefined,
): S => {
  const read = <K extends keyof Misreading>(name: K) => misreading()?.[name] ?? same
  const logs = session.log.bind(session)
  const { directory, files } = session
  return withCalls<EngineSession>(session, {
    log: (name) => {
      const log = logs(name)
      return withCalls(log, {
        head: () => log.head().then(read('head') as typeof same),
        read: (after, maxBytes) => log.read(after, maxBytes).then(read('read') as typeof same),
      })
    },
    directory: withCalls(directory, {
      view: () => directory.view().then(read('view') as typeof same),
    }),
    files: withCalls(files, {
      async *read(name, from, to) {
        for await (const piece of files.read(name, from, to))
          yield (read('piece') as typeof same)(piece)
      },
    }),
  }) as S
}

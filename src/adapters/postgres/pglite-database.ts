/**
 * PGlite: PostgreSQL within this process, in its own folder, to try replication without a server. A
 * statement holds its thread for as long as it takes. So PGlite has its own thread, and this file
 * is both sides of that. It is apart from `postgres.ts` because the thread loads this file alone.
 */

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { PGlite } from '@electric-sql/pglite'
import { SerialQueue } from '../../bytes/serial-queue.ts'
import { keptError } from '../../errors.ts'
import { type Columns, type Database, quoted } from './database.ts'

/** The data with which the thread is started. */
type Start = { readonly role: typeof role; readonly dir: string | undefined }

const role = 'keelson pglite'

/** A statement, rows for a table, or the end. */
type Question =
  | { readonly sql: string; readonly parameters: readonly unknown[] }
  | {
      readonly table: string
      readonly columns: readonly string[]
      readonly pieces: readonly Uint8Array[]
    }
  | 'close'

type Answer = { readonly rows: readonly Columns[] } | { readonly error: unknown }

/** Opens the folder, or memory without one. @throws the error of PGlite */
export const connectPglite = async (dir: string | undefined): Promise<Database> => {
  const thread = new Worker(new URL(import.meta.url), {
    workerData: { role, dir } satisfies Start,
    name: role,
    execArgv: [],
  })
  const ended = new Promise<Answer>((resolve) => {
    thread.once('error', (error) => resolve({ error }))
    thread.once('exit', () => resolve({ error: new Error('PGlite has ended') }))
  })
  const answered = async (question?: Question): Promise<readonly Columns[]> => {
    // Only one that waits for its answer keeps the process alive.
    thread.ref()
    const said = new Promise<Answer>((resolve) => thread.once('message', resolve))
    if (question !== undefined) thread.postMessage(question)
    const answer = await Promise.race([said, ended])
    thread.unref()
    if ('error' in answer) throw answer.error
    return answer.rows
  }
  // It says once that it is open. Then each answer is that to the question before.
  const turns = new SerialQueue()
  const ask = (question?: Question): Promise<readonly Columns[]> =>
    turns.run(() => answered(question))
  await ask()
  return {
    query: (sql, parameters = []) => ask({ sql, parameters }),
    copy: async (table, columns, pieces) => {
      await ask({ table, columns, pieces: [...pieces] })
    },
    close: async () => {
      await ask('close').catch(() => undefined)
      await thread.terminate()
    },
  }
}

/** A connection to an open PGlite. It has one connection; closing it here ends PGlite. */
export const overPglite = (database: PGlite): Database => ({
  async query(sql, parameters = []) {
    const { rows } = await database.query<Columns>(sql, [...parameters])
    return rows
  },
  async copy(table, columns, pieces) {
    const sql = `copy ${table} (${quoted(columns)}) from '/dev/blob' (format binary)`
    await database.query(sql, [], { blob: new Blob([...pieces] as Uint8Array<ArrayBuffer>[]) })
  },
  close: () =>
    database.close().then(
      () => undefined,
      () => undefined,
    ),
})

/** The thread's side: it says that PGlite is open, and then answers one question after another. */
const serve = async (dir: string | undefined): Promise<void> => {
  const { PGlite } = await import('@electric-sql/pglite')
  const database = overPglite(await PGlite.create(dir === undefined ? {} : { dataDir: dir }))
  const say = (answer: Answer): void => parentPort?.postMessage(answer)
  parentPort?.on('message', async (question: Question) => {
    try {
      say({ rows: await answerOf(database, question) })
    } catch (error) {
      // An error of PGlite has more on it than can be sent.
      say({ error: new Error(keptError(error).message) })
    }
  })
  say({ rows: [] })
}

const answerOf = async (database: Database, question: Question): Promise<readonly Columns[]> => {
  if (question === 'close') await database.close()
  else if ('sql' in question) return database.query(question.sql, question.parameters)
  else await database.copy(question.table, question.columns, question.pieces)
  return []
}

const start = workerData as Start | null
if (!isMainThread && start?.role === role) void serve(start.dir)

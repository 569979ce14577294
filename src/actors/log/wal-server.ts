/**
 * `keelson/wal-server`: an actor that owns a log, apart from the store. `keelson/wal` is under it:
 * group commit, and an answer after the sync. It opens the log before its first message. A log that
 * cannot be opened, and one that failed, end it with `['shutdown', error]` (fail-stop): a
 * supervisor does not retry them. However it ends, its log is closed, and its next epoch waits for
 * that.
 */

import { types } from 'node:util'
import { config, noMore, readOptions } from '../../check.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import {
  type ChildSpec,
  call,
  type From,
  type GenServer,
  type Name,
  noReply,
  ok,
  type Ref,
  type Settled,
  stop,
  worker,
} from '../../runtime/index.ts'
import {
  type Appended,
  type AppendOptions,
  checkWalOptions,
  givenBytes,
  Wal,
  type WalCheckpoint,
  type WalDescription,
  type WalEntry,
  type WalOptions,
  type WalReadOptions,
  type WalReleased,
  type WalReport,
} from '../../storage/index.ts'
import { isIgnored, isRecord, isSettled } from '../core/payload-check.ts'

export type { WalOptions } from '../../storage/index.ts'

/** An entry to append: its type, which is the caller's, its bytes, and how the append waits. */
export type EntryToAppend = {
  readonly type: number
  readonly bytes: Uint8Array
  readonly options?: AppendOptions
}

/** The log, and the report of its opening: whether it was made, and what was cut. */
export type WalServerDescription = WalDescription & { readonly report: WalReport }

/** The messages of the server. The functions below send its calls. */
export type Messages = {
  calls: {
    append: (entry: EntryToAppend) => Appended
    sync: () => { readonly durableLsn: number }
    settled: () => void
    createCheckpoint: (opaque: Uint8Array | undefined) => number
    read: (options: WalReadOptions) => AsyncGenerator<WalEntry | WalCheckpoint>
    release: (lsn: number) => WalReleased
    describe: () => WalServerDescription
    close: () => void
  }
  infos: { failed: (failure: Settled<KeelsonError>) => void }
  continues: { open: () => void }
}

type State = {
  readonly epochs: LogEpochs
  readonly queueBytes: number
  wal: Wal | undefined
  /** The bytes of entries that are not answered. */
  bytes: number
}

/**
 * A server that owns the log in `options.dir`, for one process at a time.
 * @throws KeelsonError `CONFIG` for wrong options
 */
export const walServer = (options: WalOptions, ...surplus: []): GenServer<Messages, State> => {
  noMore(surplus, 'walServer({ dir, … })')
  const { queueBytes } = checkWalOptions(options)
  return serverOf(() => Wal.open(options), queueBytes)
}

/** @internal The server of any log. */
export const serverOf = (
  open: () => Promise<Wal>,
  queueBytes: number,
): GenServer<Messages, State> => {
  const epochs = new LogEpochs(open)
  return {
    ...handlers,
    init: (_, context) => {
      // With trapped exits the supervisor can ask this process to end, and it closes the log.
      context.trapExit(true)
      return ok({ epochs, queueBytes, wal: undefined, bytes: 0 }, { continue: ['open'] })
    },
  }
}

/**
 * The server as a child of a supervisor, named `id`, or `name`: transient, so that a log that failed
 * or was closed stays so, and with all the time that its close takes.
 * @throws KeelsonError `CONFIG` for wrong options
 */
export const childSpec = (
  id: string,
  options: WalOptions,
  given: { readonly name?: Name<Messages> } = noOptions,
  ...surplus: []
): ChildSpec => {
  noMore(surplus, 'childSpec(id, options, { name })')
  const { name = id as Name<Messages> } = readOptions(given, ['name'], config(id))
  return worker(id, walServer(options), undefined, {
    name,
    restart: 'transient',
    shutdown: 'infinity',
  })
}

const handlers: Omit<GenServer<Messages, State>, 'init'> = {
  continues: {
    open: async (state, _, context) => {
      try {
        state.wal = await state.epochs.open(context.signal)
      } catch (error) {
        return stop(['shutdown', error], state)
      }
      context.pipe(state.wal.failed, 'failed')
      return noReply(state)
    },
  },

  accepts: {
    calls: {
      append: isRecord({ bytes: types.isUint8Array }),
      sync: isIgnored,
      settled: isIgnored,
      createCheckpoint: isIgnored,
      read: isIgnored,
      release: isIgnored,
      describe: isIgnored,
      close: isIgnored,
    },
    casts: {},
    infos: { failed: isSettled() },
  },

  calls: {
    append: (state, { type, bytes, options }, { from }) => {
      const { length } = bytes
      state.bytes += length
      const answered = answer(from, walOf(state).append(type, bytes, options)).finally(() => {
        state.bytes -= length
      })
      // A full queue holds up the mailbox, which is bounded too.
      if (state.bytes <= state.queueBytes) return noReply(state)
      return answered.then(() => noReply(state))
    },
    sync: (state, _, { from }) => answering(state, from, walOf(state).sync()),
    settled: (state, _, { from }) => answering(state, from, walOf(state).settled()),
    createCheckpoint: (state, opaque, { from }) =>
      answering(state, from, walOf(state).createCheckpoint(opaque)),
    read: (state, options, { from }) => {
      const begun = async () => walOf(state).read(options as WalReadOptions & { checkpoints: true })
      return answering(state, from, begun())
    },
    release: (state, lsn, { from }) => answering(state, from, walOf(state).release(lsn)),
    describe: (state, _, { from }) => {
      const wal = walOf(state)
      const described = wal.describe().then((log) => ({ ...log, report: wal.report }))
      return answering(state, from, described)
    },
    close: async (state, _, { from }) => {
      await answer(from, walOf(state).close())
      return stop('normal', state)
    },
  },

  casts: {},

  infos: {
    failed: (state, failure) =>
      stop(['shutdown', failure.ok ? failure.value : failure.error], state),
  },

  // The failure of a failed log was its reason to end.
  terminate: async ({ wal }) => {
    await wal?.close().catch(() => undefined)
  },
}

const walOf = ({ wal }: State): Wal => {
  if (!wal) throw new Error('the log is not open')
  return wal
}

/** Answers the call when `work` has settled. Never rejects. */
const answer = <R>(from: From<R>, work: Promise<R>): Promise<unknown> =>
  work.then(
    (value) => from.reply(value),
    (error: unknown) => from.fail(error),
  )

/** The same outside of the mailbox. */
const answering = <R>(state: State, from: From<R>, work: Promise<R>) => {
  void answer(from, work)
  return noReply(state)
}

/**
 * The epochs of one log, each of one process. The end of a process, a kill too, closes its log; the
 * next process waits until that is done.
 */
class LogEpochs {
  readonly #open: () => Promise<Wal>
  #process: AbortSignal | undefined
  #over: Promise<unknown> = Promise.resolve()

  constructor(open: () => Promise<Wal>) {
    this.#open = open
  }

  /**
   * Opens the log for the process of `signal`.
   * @throws KeelsonError `CONFLICT` while another process has it; `EXITED`; as `Wal.open` does
   */
  open(signal: AbortSignal): Promise<Wal> {
    if (this.#process && !this.#process.aborted)
      return Promise.reject(new KeelsonError('CONFLICT', 'another process has this log'))
    this.#process = signal
    const opening = this.#over.then(() => {
      if (signal.aborted) throw new KeelsonError('EXITED', 'the process has ended')
      return this.#open()
    })
    this.#over = this.#closed(opening, signal).catch(() => undefined)
    return opening
  }

  async #closed(opening: Promise<Wal>, signal: AbortSignal): Promise<void> {
    const wal = await opening
    if (!signal.aborted)
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    await wal.close()
  }
}

// The client functions. They wait without a limit: the end of the server answers them, and an
// append has its own deadline.

const always = { timeoutMs: Number.POSITIVE_INFINITY }

/** While a message waits in the mailbox, its caller may use the memory again. */
const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(givenBytes(bytes))

/**
 * Appends an entry, whose bytes are copied at once. Resolves when it is synced, or written at a
 * weaker level, as the answer says.
 * @throws KeelsonError as `append` of `keelson/wal` does; `UNKNOWN_OUTCOME` too if the server ends
 * before it has answered; `NO_PROCESS`, `MAILBOX_FULL`
 */
export const append = async (
  server: Ref<Messages>,
  type: number,
  bytes: Uint8Array,
  options?: AppendOptions,
): Promise<Appended> => {
  try {
    const entry = { type, bytes: copyOf(bytes), ...(options && { options }) }
    return await call(server, 'append', entry, always)
  } catch (error) {
    if (!isKeelsonError(error, 'EXITED')) throw error
    throw new KeelsonError('UNKNOWN_OUTCOME', 'the server of the log has ended', { cause: error })
  }
}

/** `append` with type 0. */
export const writeEntry = (
  server: Ref<Messages>,
  bytes: Uint8Array,
  options?: AppendOptions,
): Promise<Appended> => append(server, 0, bytes, options)

/** Resolves when everything called before is synced. */
export const sync = (server: Ref<Messages>): Promise<{ readonly durableLsn: number }> =>
  call(server, 'sync', undefined, always)

/** Resolves when the outcome of everything called before is decided. */
export const settled = (server: Ref<Messages>): Promise<void> =>
  call(server, 'settled', undefined, always)

/** Writes a checkpoint: everything called before is durable elsewhere too. Returns its LSN. */
export const createCheckpoint = async (
  server: Ref<Messages>,
  opaque?: Uint8Array,
): Promise<number> => call(server, 'createCheckpoint', opaque && copyOf(opaque), always)

/**
 * Reads the entries that were answered before, in order. The reading does not pass through the
 * mailbox, so appends go on. It throws `CLOSED` if the server ends during the reading.
 */
export function read(
  server: Ref<Messages>,
  options: WalReadOptions & { checkpoints: true },
): AsyncGenerator<WalEntry | WalCheckpoint>
/** The same without checkpoints. */
export function read(
  server: Ref<Messages>,
  options?: WalReadOptions & { checkpoints?: false },
): AsyncGenerator<WalEntry>
/** Both. */
export async function* read(
  server: Ref<Messages>,
  options: WalReadOptions = noOptions,
): AsyncGenerator<WalEntry | WalCheckpoint> {
  yield* await call(server, 'read', options, always)
}

/** Removes whole segments up to `lsn`, the newest checkpoint, and what a read still needs. */
export const release = (server: Ref<Messages>, lsn: number): Promise<WalReleased> =>
  call(server, 'release', lsn, always)

/** Describes the log. `report` says what its opening found, made and cut. */
export const describe = (server: Ref<Messages>): Promise<WalServerDescription> =>
  call(server, 'describe', undefined, always)

/** Settles everything called before, closes the log, and ends the server with `normal`. */
export const close = (server: Ref<Messages>): Promise<void> =>
  call(server, 'close', undefined, always)

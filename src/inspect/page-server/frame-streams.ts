/**
 * The streams of frames to the viewers of a page: at most eight, a frame a second. A viewer that
 * has not read the last frame skips the next ones, and is cut off after half a minute. Viewers of
 * one view share its frames. They are apart from `page-server.ts` because a stream holds its
 * connection; every other answer ends at once.
 */
import type { ServerResponse } from 'node:http'
import type { Cancel, Clock } from '../../clock.ts'
import type { Frame } from '../../observe/index.ts'

/** The most viewers at a time. */
export const viewersMax = 8

/** The most bytes of a frame. */
export const frameMax = 64 * 1024

const everyMs = 1_000
const unreadMs = 30_000
/** Its login may end: it is asked again so often. */
const admittedMs = 60_000

type Viewer = {
  readonly response: ServerResponse
  readonly view: string
  readonly query: object
  /** Whether it may still look. */
  readonly admits: () => Promise<boolean>
  /** When it was asked last. */
  admittedAt: number
  /** The time of its last frame that was sent whole. */
  sentAt: number
}

/** The streams of a server. */
export class FrameStreams {
  readonly #clock: Clock
  readonly #frame: (view: string, query: object) => Promise<Frame>
  readonly #viewers = new Set<Viewer>()
  #cancel: Cancel | undefined

  constructor(clock: Clock, frame: (view: string, query: object) => Promise<Frame>) {
    this.#clock = clock
    this.#frame = frame
  }

  /** Whether there is room for one more. */
  get hasRoom(): boolean {
    return this.#viewers.size < viewersMax
  }

  /** Sends frames of a view until the other side has left, or may look no more. */
  add(response: ServerResponse, view: string, query: object, admits = async () => true): void {
    // It has left before it was admitted: nothing would say so any more.
    if (response.destroyed) return
    const now = this.#clock.monotonic()
    const viewer = { response, view, query, admits, admittedAt: now, sentAt: now }
    this.#viewers.add(viewer)
    response.on('close', () => this.#viewers.delete(viewer))
    response.on('error', () => response.destroy())
    void this.#send([viewer])
    this.#cancel ??= this.#clock.after(everyMs, () => void this.#tick())
  }

  /** Ends all streams. */
  close(): void {
    this.#cancel?.()
    for (const { response } of this.#viewers) response.destroy()
  }

  async #tick(): Promise<void> {
    for (const viewer of this.#viewers) this.#admit(viewer)
    const groups = new Map<string, Viewer[]>()
    for (const viewer of this.#viewers) {
      const key = JSON.stringify([viewer.view, viewer.query])
      groups.set(key, [...(groups.get(key) ?? []), viewer])
    }
    await Promise.all([...groups.values()].map((viewers) => this.#send(viewers)))
    this.#cancel =
      this.#viewers.size === 0 ? undefined : this.#clock.after(everyMs, () => void this.#tick())
  }

  /** Sends the present frame to those of a view who have read the last one. */
  async #send(viewers: readonly Viewer[]): Promise<void> {
    const ready = viewers.filter((viewer) => this.#isReady(viewer))
    const [first] = ready
    if (!first) return
    const text = frameText(await this.#frame(first.view, first.query))
    for (const viewer of ready) {
      if (viewer.response.destroyed) continue
      viewer.response.write(text)
      viewer.sentAt = this.#clock.monotonic()
    }
  }

  #admit(viewer: Viewer): void {
    const now = this.#clock.monotonic()
    if (now - viewer.admittedAt < admittedMs) return
    viewer.admittedAt = now
    void viewer.admits().then((isAdmitted) => isAdmitted || viewer.response.destroy())
  }

  #isReady({ response, sentAt }: Viewer): boolean {
    if (!response.writableNeedDrain) return true
    if (this.#clock.monotonic() - sentAt > unreadMs) response.destroy()
    return false
  }
}

/** The event of a frame. A larger one than fits says so. */
const frameText = (frame: Frame): string => {
  const text = JSON.stringify(frame)
  if (Buffer.byteLength(text) <= frameMax || !('header' in frame)) return `data: ${text}\n\n`
  const error = { code: 'TOO_LARGE', message: 'the view is too large: narrow it' }
  return `data: ${JSON.stringify({ header: frame.header, error })}\n\n`
}

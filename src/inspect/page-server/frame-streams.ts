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
  /** Whether it may still look. */
  readonly admits: () => Promise<boolean>
  /** When it was asked last. */
  admittedAt: number
  /** The time of its last frame that was sent whole. */
  sentAt: number
}

/** A view with its viewers. Each view has its own ticks, so that a slow one holds up no other. */
type Followed = {
  readonly view: string
  readonly query: object
  readonly viewers: Set<Viewer>
  cancel: Cancel
}

/** The streams of a server. */
export class FrameStreams {
  readonly #clock: Clock
  readonly #frame: (view: string, query: object) => Promise<Frame>
  readonly #followed = new Map<string, Followed>()

  constructor(clock: Clock, frame: (view: string, query: object) => Promise<Frame>) {
    this.#clock = clock
    this.#frame = frame
  }

  /** Whether there is room for one more. */
  get hasRoom(): boolean {
    let count = 0
    for (const { viewers } of this.#followed.values()) count += viewers.size
    return count < viewersMax
  }

  /** Sends frames of a view until the other side has left, or may look no more. */
  add(response: ServerResponse, view: string, query: object, admits = async () => true): void {
    // It has left before it was admitted: nothing would say so later.
    if (response.destroyed) return
    const now = this.#clock.monotonic()
    const viewer = { response, admits, admittedAt: now, sentAt: now }
    const followed = this.#follow(view, query)
    followed.viewers.add(viewer)
    response.on('close', () => followed.viewers.delete(viewer))
    response.on('error', () => response.destroy())
    void this.#send(followed, [viewer])
  }

  /** Ends all streams. */
  close(): void {
    for (const { viewers, cancel } of this.#followed.values()) {
      cancel()
      for (const { response } of viewers) response.destroy()
    }
  }

  #follow(view: string, query: object): Followed {
    const key = JSON.stringify([view, query])
    const known = this.#followed.get(key)
    if (known) return known
    const followed: Followed = { view, query, viewers: new Set(), cancel: () => undefined }
    const tick = async (): Promise<void> => {
      for (const viewer of followed.viewers) this.#admit(viewer)
      await this.#send(followed, [...followed.viewers])
      if (followed.viewers.size === 0) this.#followed.delete(key)
      else wait()
    }
    const wait = (): void => {
      followed.cancel = this.#clock.after(everyMs, () => void tick())
    }
    this.#followed.set(key, followed)
    wait()
    return followed
  }

  /** Sends the present frame to those of a view who have read the last one. */
  async #send({ view, query }: Followed, viewers: readonly Viewer[]): Promise<void> {
    const ready = viewers.filter((viewer) => this.#isReady(viewer))
    if (ready.length === 0) return
    const text = frameText(await this.#frame(view, query))
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

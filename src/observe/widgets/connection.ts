/**
 * The page's connection: the token of this tab, questions, and the one stream of frames. A stream
 * that ends is opened again after a pause; a hidden tab has none.
 */
import type { Action, Done, Frame, Plan, Proposed, Views } from '../protocol.ts'
import type { Refusal } from '../words.ts'
import { after, keep, kept, on } from './browser.ts'

/** Why a question was not answered: an `error` of the protocol, or no answer at all. */
export class Refused extends Error {
  readonly code: string

  constructor({ code, message }: Refusal) {
    super(message)
    this.code = code
  }
}

/** How the stream is: `ended` means that the token is no longer good. */
export type StreamState = 'connecting' | 'live' | 'lost' | 'paused' | 'ended'

const tokenName = 'keelson token'

/**
 * Exchanges the one-time code of the page's address for a token, which this tab keeps. Without a
 * code the kept token is used. @throws Refused
 */
export const signIn = async (): Promise<void> => {
  const code = /^#code=(.+)$/.exec(location.hash)?.[1]
  if (code === undefined) return
  // The code is good once, so it leaves the address and the history of the tab.
  history.replaceState(null, '', '#/overview')
  const answer = await fetch('api/session', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code }),
  })
  const { token } = (await answered(answer)) as { token: string }
  keep(tokenName, token)
}

/** Without a token the login of a host decides, which may be in this header. */
const headers = (): Record<string, string> => {
  const token = kept(tokenName)
  return token === undefined ? {} : { authorization: `Bearer ${token}` }
}

const answered = async (response: Response): Promise<unknown> => {
  const text = await response.text()
  try {
    const body = JSON.parse(text) as { readonly error?: Refusal }
    if (body.error) throw new Refused(body.error)
    if (response.ok) return body
    throw new Error(text)
  } catch (error) {
    if (error instanceof Refused) throw error
    throw new Refused({ code: String(response.status), message: text.slice(0, 200) })
  }
}

const queryOf = (query: object): string =>
  new URLSearchParams(
    Object.entries(query).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, String(value)]],
    ),
  ).toString()

const memberName = 'keelson member'

/** The member that this tab looks at, if its user has chosen one. */
export const chosenMember = (): string | undefined => kept(memberName)

/** Looks at a member from now on. */
export const chooseMember = (member: string): void => keep(memberName, member)

/** A question or an action, for the member that is chosen. */
const there = (asked: object): object => ({ ...asked, member: chosenMember() })

/** One answer of a view. @throws Refused */
export const ask = async <V extends keyof Views>(
  view: V,
  query: Views[V]['query'],
  signal?: AbortSignal,
): Promise<Views[V]['data']> => {
  const path = `api/${view}?${queryOf(there(query))}`
  const response = await fetch(path, { headers: headers(), ...(signal && { signal }) })
  const frame = (await answered(response)) as Frame<V>
  if ('away' in frame) throw new Refused({ code: 'AWAY', message: frame.away.reason })
  return (frame as { readonly data: Views[V]['data'] }).data
}

const post = async (path: string, body: object): Promise<unknown> =>
  answered(
    await fetch(path, {
      method: 'POST',
      headers: { ...headers(), 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  )

/** The effect of an action, before it is performed. @throws Refused */
export const plan = async (action: Proposed): Promise<Plan> =>
  (await post('api/plan', there(action))) as Plan

/** Performs an action that was planned. @throws Refused */
export const act = async (action: Action, nonce: string): Promise<Done> =>
  (await post('api/act', { ...there(action), nonce })) as Done

/** A stream is lost if no frame comes for so long; then it is opened again. In ms. */
const silenceMax = 8_000
const retryMs = 500
const retryMsMax = 4_000

type Listener = {
  readonly onFrame: (frame: Frame) => void
  /** `reason`: why a stream is lost, if the server says so. */
  readonly onState: (state: StreamState, reason?: string) => void
}

/**
 * Streams the frames of a view to `listener` until the returned function is called. While the tab is
 * hidden there is no stream.
 */
export const follow = (view: keyof Views, query: object, listener: Listener): (() => void) => {
  const state = { isOver: false, failures: 0, cancel: () => {}, abort: new AbortController() }
  const open = async (): Promise<void> => {
    state.cancel()
    state.abort.abort()
    if (state.isOver) return
    if (document.hidden) return listener.onState('paused')
    const abort = new AbortController()
    state.abort = abort
    let reason: string | undefined
    try {
      await read(`api/stream?${queryOf(there({ view, ...query }))}`, abort, (frame) => {
        state.failures = 0
        listener.onState('live')
        listener.onFrame(frame)
      })
    } catch (error) {
      if (error instanceof Refused && error.code === 'UNAUTHORIZED') state.isOver = true
      else if (error instanceof Refused) reason = error.message
    }
    // Another stream has taken its place, or nobody follows.
    if (state.abort !== abort || document.hidden || (state.isOver && abort.signal.aborted)) return
    if (state.isOver) return listener.onState('ended')
    listener.onState('lost', reason)
    state.cancel = after(Math.min(retryMsMax, retryMs * 2 ** state.failures++), () => void open())
  }
  const endListening = on(document, 'visibilitychange', () => void open())
  void open()
  return () => {
    state.isOver = true
    endListening()
    state.cancel()
    state.abort.abort()
  }
}

const read = async (
  path: string,
  abort: AbortController,
  onFrame: (frame: Frame) => void,
): Promise<void> => {
  let cancel = after(silenceMax, () => abort.abort())
  try {
    const response = await fetch(path, { headers: headers(), signal: abort.signal })
    if (!response.ok || !response.body) {
      await answered(response)
      return
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    let rest = ''
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      cancel()
      cancel = after(silenceMax, () => abort.abort())
      const events = (rest + value).split('\n\n')
      rest = events.pop() ?? ''
      for (const event of events) {
        const text = /^data: (.*)$/m.exec(event)?.[1]
        if (text !== undefined) onFrame(JSON.parse(text) as Frame)
      }
    }
  } finally {
    cancel()
  }
}

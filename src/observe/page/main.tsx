/**
 * The page of `keelson observe`, which begins here: the head, the way between views, and the one
 * stream of this tab.
 */
import { type ComponentType, render } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import type { Frame, Header, Proposed, Views } from '../protocol.ts'
import { toneOf } from '../state-tones.ts'
import { EntitiesView, KindView } from '../views/entities.tsx'
import { EntityView } from '../views/entity.tsx'
import { FlowsView, RunsView, RunView } from '../views/flows.tsx'
import { JobView } from '../views/job.tsx'
import { LogView } from '../views/log.tsx'
import { OverviewView } from '../views/overview.tsx'
import { ProcessesView, ProcessView } from '../views/processes.tsx'
import { QueueView } from '../views/queue.tsx'
import { SchedulesView } from '../views/schedules.tsx'
import { ReplicationView, StorageView } from '../views/storage.tsx'
import { StoreView } from '../views/store.tsx'
import { TreeView } from '../views/tree.tsx'
import { ActionDialog } from '../widgets/actions.tsx'
import { type Page, PageContext } from '../widgets/asking.ts'
import { on } from '../widgets/browser.ts'
import {
  chooseMember,
  chosenMember,
  follow,
  type Refused,
  type StreamState,
  signIn,
} from '../widgets/connection.ts'
import { Badge, Empty, type Tone } from '../widgets/parts.tsx'
import { countText, durationText } from '../widgets/quantities.ts'
import { addressOf, type Route, routeOf } from '../widgets/route.ts'

/** A view, by the name of the frames that it follows: what they are asked for, and how it shows them. */
type View = {
  readonly title: string
  /** Its place between the views, by its key. */
  readonly key?: string
  /** The frames that it follows, if they have another name. */
  readonly follows?: keyof Views
  /** The terms of its question. */
  readonly query?: (route: Route) => object
  readonly Shown: ComponentType<{ readonly data: never; readonly route: Route }>
}

/** The query of the route, as it is. */
const asked = ({ query }: Route): object => query

const views: Readonly<Record<string, View>> = {
  overview: { title: 'Overview', key: '1', Shown: OverviewView },
  tree: { title: 'Tree', key: '2', Shown: TreeView },
  processes: {
    title: 'Processes',
    key: '3',
    query: ({ query }) => ({ order: 'rate', ...query }),
    Shown: ProcessesView,
  },
  process: {
    title: 'Processes',
    query: ({ parts: [pid = ''], query: { trace } }) => ({ pid, ...(trace === 'on' && { trace }) }),
    Shown: ProcessView,
  },
  entities: { title: 'Entities', key: '4', Shown: EntitiesView },
  kind: { title: 'Entities', follows: 'entities', Shown: KindView },
  entity: {
    title: 'Entities',
    query: ({ parts: [kind = '', ...id] }) => ({ kind, id: id.join('/') }),
    Shown: EntityView,
  },
  flows: { title: 'Flows', key: '5', Shown: FlowsView },
  runs: { title: 'Flows', follows: 'flows', Shown: RunsView },
  run: {
    title: 'Flows',
    query: ({ parts: [type = '', ...id] }) => ({ type, id: id.join('/') }),
    Shown: RunView,
  },
  queue: { title: 'Flows', follows: 'flows', Shown: QueueView },
  job: {
    title: 'Flows',
    query: ({ parts: [queue = '', id = ''] }) => ({ queue, id }),
    Shown: JobView,
  },
  schedules: { title: 'Flows', query: asked, Shown: SchedulesView },
  store: { title: 'Store', key: '6', follows: 'header', Shown: StoreView },
  storage: { title: 'Log and storage', key: '7', query: asked, Shown: StorageView },
  replication: { title: 'Replication', key: '8', Shown: ReplicationView },
  log: { title: 'Log tail', key: '9', query: asked, Shown: LogView },
}

const useRoute = (): Route => {
  const [route, setRoute] = useState(() => routeOf(location.hash))
  useEffect(() => on(window, 'hashchange', () => setRoute(routeOf(location.hash))), [])
  return route
}

/** How the stream is, and why if that is known. */
type Stream = { readonly state: StreamState; readonly reason?: string }

/** The frames of a view, and how their stream is. */
const useFrames = (view: keyof Views, query: object, isPaused: boolean) => {
  const key = JSON.stringify([view, query, chosenMember()])
  const [{ state, reason }, setStream] = useState<Stream>({ state: 'connecting' })
  const [last, setLast] = useState<{ readonly key: string; readonly frame: Frame }>()
  const [header, setHeader] = useState<Header>()
  useEffect(() => {
    const become = (next: StreamState, why?: string): void =>
      setStream({ state: next, ...(why !== undefined && { reason: why }) })
    if (isPaused) return become('paused')
    become('connecting')
    return follow(view, query, {
      onState: become,
      onFrame: (frame) => {
        setLast((before) => ('away' in frame && before?.key === key ? before : { key, frame }))
        if ('away' in frame) become('lost', frame.away.reason)
        else setHeader(frame.header)
      },
    })
  }, [key, isPaused])
  return { state, reason, header, frame: last?.key === key ? last.frame : undefined }
}

/** The whole page. */
const App = () => {
  const route = useRoute()
  const [isPaused, setPaused] = useState(false)
  const [member, setMember] = useState(chosenMember)
  const [action, setAction] = useState<{ readonly action: Proposed; readonly title: string }>()
  const name = views[route.view] ? route.view : 'overview'
  const view = views[name] as View
  const followed = view.follows ?? (name as keyof Views)
  const { state, reason, header, frame } = useFrames(followed, view.query?.(route) ?? {}, isPaused)
  useKeys(() => setPaused((was) => !was))
  useEffect(() => {
    document.title = `${header ? `${header.instance} · ` : ''}${view.title}`
  }, [header?.instance, view])
  const look = (at: string): void => {
    chooseMember(at)
    setMember(at)
  }
  const page = useMemo<Page | undefined>(
    () => header && { header, look, propose: (action, title) => setAction({ action, title }) },
    [header],
  )
  return (
    <div class="shell">
      <Head
        header={header}
        state={state}
        member={member}
        isPaused={isPaused}
        onMember={look}
        onPause={() => setPaused(!isPaused)}
      />
      <nav class="nav" aria-label="Views">
        <ul>
          {Object.entries(views).map(([name, { title, key }]) =>
            key === undefined ? null : (
              <li key={name}>
                <a
                  href={addressOf(name)}
                  aria-current={views[route.view]?.title === title ? 'page' : undefined}
                >
                  {title}
                  <kbd>{key}</kbd>
                </a>
              </li>
            ),
          )}
        </ul>
      </nav>
      <main class="main" data-view={route.view} data-state={state}>
        <Notice state={state} reason={reason} isSeen={frame !== undefined && !('away' in frame)} />
        {page && (
          <PageContext.Provider value={page}>
            {frame && 'data' in frame && (
              <view.Shown key={member} data={frame.data as never} route={route} />
            )}
            {frame && 'error' in frame && (
              <Empty title={frame.error.message}>
                <code>{frame.error.code}</code>
              </Empty>
            )}
            {action && <ActionDialog {...action} onEnd={() => setAction(undefined)} />}
          </PageContext.Provider>
        )}
      </main>
    </div>
  )
}

/** Digits choose a view, `p` pauses; not while something is typed. */
const useKeys = (onPause: () => void): void => {
  useEffect(
    () =>
      on(document, 'keydown', (event) => {
        const { key, ctrlKey, metaKey, altKey, target } = event as KeyboardEvent
        const isTyped =
          target instanceof Element && target.closest('input, select, textarea, dialog')
        if (isTyped || ctrlKey || metaKey || altKey) return
        const chosen = Object.entries(views).find(([, view]) => view.key === key)
        if (chosen) location.hash = addressOf(chosen[0])
        else if (key === 'p') onPause()
      }),
    [],
  )
}

const streamWords: Readonly<Record<StreamState, readonly [Tone, string]>> = {
  connecting: [undefined, 'connecting'],
  live: ['good', 'live'],
  lost: ['bad', 'reconnecting'],
  paused: ['warn', 'paused'],
  ended: ['bad', 'signed out'],
}

const Head = (props: {
  readonly header: Header | undefined
  readonly state: StreamState
  readonly member: string | undefined
  readonly isPaused: boolean
  readonly onMember: (member: string) => void
  readonly onPause: () => void
}) => {
  const { header, state, isPaused, onPause } = props
  const [tone, word] = streamWords[state]
  return (
    <header class="head">
      <div class="name">
        <b>{header?.instance ?? 'keelson'}</b>
        {header?.members && <MemberChoice {...props} header={header} />}
      </div>
      <dl class="vitals">{header && <Vitals header={header} />}</dl>
      <div class="right">
        {header && (
          <Badge tone={header.isWriting ? 'warn' : undefined}>
            {header.isWriting ? 'WRITE' : 'READ-ONLY'}
          </Badge>
        )}
        <span role="status" class="nowrap">
          <span class={`dot ${tone ?? ''} ${state === 'live' ? 'live' : ''}`} />
          {word}
        </span>
        <button type="button" onClick={onPause} aria-pressed={isPaused} title="p">
          {isPaused ? 'Resume' : 'Pause'}
        </button>
      </div>
    </header>
  )
}

/** Which member the page looks at. */
const MemberChoice = (props: {
  readonly header: Header
  readonly member: string | undefined
  readonly onMember: (member: string) => void
}) => {
  const { header, member = header.member, onMember } = props
  // A name that was chosen and is no member now stays in the list, so that another one can be chosen.
  const names = new Set([...(header.members ?? []), ...(member === undefined ? [] : [member])])
  return (
    <select
      aria-label="Member"
      value={member}
      onChange={({ currentTarget }) => onMember(currentTarget.value)}
    >
      {[...names].map((name) => (
        <option key={name}>{name}</option>
      ))}
    </select>
  )
}

const Vitals = ({ header }: { header: Header }) => {
  const { phase, isDurable, loopDelayMs, lagMs, crashes, areCrashesMore } = header
  const shown: readonly (readonly [string, string, Tone])[] = [
    [
      'phase',
      isDurable ? phase : `${phase}, not durable`,
      isDurable ? toneOf('instance', phase) : 'bad',
    ],
    [
      'loop',
      loopDelayMs === null ? '–' : durationText(loopDelayMs),
      (loopDelayMs ?? 0) > 100 ? 'bad' : undefined,
    ],
    ['lag', durationText(lagMs), lagMs > 15_000 ? 'bad' : undefined],
    [
      'crashes, 10 min',
      `${countText(crashes)}${areCrashesMore ? '+' : ''}`,
      crashes > 0 ? 'bad' : undefined,
    ],
  ]
  return (
    <>
      {shown.map(([name, value, tone]) => (
        <div class="vital" key={name}>
          <dt>{name}</dt>
          <dd class={tone === 'good' ? undefined : tone}>
            {name === 'phase' && <span class={`dot ${tone}`} />}
            {value}
          </dd>
        </div>
      ))}
    </>
  )
}

const Notice = (props: {
  readonly state: StreamState
  readonly reason: string | undefined
  /** Whether the view below has a frame. */
  readonly isSeen: boolean
}) => {
  if (props.state === 'ended')
    return (
      <p class="banner bad">
        This tab is signed out: open the address that <code>keelson observe</code> prints, or sign
        in to the service again.
      </p>
    )
  if (props.state === 'lost')
    return (
      <p class="banner bad" role="alert">
        {sentence(props.reason ?? 'no answer')} {props.isSeen && 'This is the last that was seen; '}
        {props.isSeen ? 'it' : 'It'} is asked again.
      </p>
    )
  return null
}

const sentence = (text: string): string =>
  `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`

const place = document.getElementById('page')

signIn().then(
  () => place && render(<App />, place),
  (error: Refused) => place && render(<p class="banner bad">{error.message}</p>, place),
)

/** One durable actor: its state, the work that it keeps, its machine, and its turns. */
import { useEffect, useState } from 'preact/hooks'
import type { EntityDetail, HistoryTurn, Past, Pending } from '../entity-answers.ts'
import { nextTexts } from '../fact-words.ts'
import type { Proposed } from '../protocol.ts'
import { Act } from '../widgets/actions.tsx'
import { refusedOf, useAsked, usePage } from '../widgets/asking.ts'
import { ask, type Refused } from '../widgets/connection.ts'
import { MachineDrawing } from '../widgets/machine.tsx'
import { Badge, Card, Facts, StateBadge } from '../widgets/parts.tsx'
import { countText, dueText, durationText, timeText } from '../widgets/quantities.ts'
import { addressOf, type Route } from '../widgets/route.ts'
import { Difference, NamedValue, Value } from '../widgets/values.tsx'
import type { EntityName } from '../words.ts'
import { FailureLines } from './failure.tsx'
import { StreamCards } from './streams.tsx'

/** The entity of a route. */
const nameOf = ({ parts: [kind = '', ...id] }: Route): EntityName => ({ kind, id: id.join('/') })

/** The turns that are chosen, by their LSNs: none, one, or two. */
const chosenOf = ({ query }: Route): readonly number[] =>
  (query.at ?? '').split('-').filter(Boolean).map(Number)

/** The kind of durable workers, which have no list and no actions of their own. */
const workerKind = '$worker'

/** The entity, or a durable worker. Looking at it never wakes it. */
export const EntityView = ({ data, route }: { data: EntityDetail; route: Route }) => {
  const { kind, id } = nameOf(route)
  const chosen = chosenOf(route)
  const choose = (lsn: number): void => {
    const next = chosen.includes(lsn)
      ? chosen.filter((each) => each !== lsn)
      : [...chosen.slice(-1), lsn]
    location.hash = addressOf('entity', [kind, id], { at: next.join('-') })
  }
  const { look } = usePage()
  const { member, pid, handling, blocked, wouldBlock, failures, born } = data
  const isWorker = kind === workerKind
  return (
    <>
      <div class="top">
        <h1>
          {isWorker ? 'worker' : <a href={addressOf('kind', [kind])}>{kind}</a>} / {id}
        </h1>
        {blocked !== undefined && <StateBadge of="entity" state="blocked" />}
        {pid === undefined ? (
          <Badge>{born ? 'at rest' : 'unborn'}</Badge>
        ) : (
          <a
            href={addressOf('process', [pid])}
            onClick={() => member !== undefined && look(member)}
          >
            <Badge tone="good">{`<${pid}>`}</Badge>
          </a>
        )}
        {member !== undefined && <Badge>{`at ${member}`}</Badge>}
        <span class="fill" />
        {!isWorker && (
          <div class="acts">
            {pid !== undefined && <Act of={{ act: 'stop', kind, id }} title="Stop" />}
            {blocked !== undefined && <Act of={{ act: 'unblock', kind, id }} title="Unblock" />}
            {born && <Act of={{ act: 'delete', kind, id }} title="Delete" isDangerous />}
          </div>
        )}
      </div>
      {blocked !== undefined && <p class="banner bad">{blocked}</p>}
      {wouldBlock !== undefined && (
        <p class="banner bad">{`It will be blocked when it wakes: ${wouldBlock}`}</p>
      )}
      {handling && <Handling of={handling} />}
      {failures.length > 0 && (
        <div class="cards">
          {failures.map(({ title, lines }) => (
            <Card key={title} title="Failure" isAlarming>
              <p>{title}</p>
              <FailureLines lines={lines} />
            </Card>
          ))}
        </div>
      )}
      <div class="entity">
        <div class="column">
          <Now data={data} name={{ kind, id }} />
        </div>
        <div class="column">
          <Machine data={data} name={{ kind, id }} chosen={chosen} />
          <Chosen name={{ kind, id }} data={data} chosen={chosen} />
          <StreamCards of={data.streams} />
        </div>
        <div class="column">
          <Turns
            key={`${kind}/${id}`}
            name={{ kind, id }}
            chosen={chosen}
            onChoose={choose}
            seq={born?.seq}
          />
        </div>
      </div>
    </>
  )
}

const Handling = ({
  of: { message, since, waiting },
}: {
  readonly of: NonNullable<EntityDetail['handling']>
}) => {
  const { header } = usePage()
  return (
    <p class="muted">
      {`handles ${message} for ${durationText(Math.max(0, header.at - since))}, since ${timeText(since, header.at)}; `}
      {`${countText(waiting)} waiting`}
    </p>
  )
}

const Now = ({ data, name }: { data: EntityDetail; name: EntityName }) => {
  const { header } = usePage()
  const { born } = data
  if (!born)
    return (
      <Card title="State now">
        <p class="muted">It has no row: it was never born, or it is deleted.</p>
      </Card>
    )
  return (
    <>
      <Card title="State now" aside={<span class="muted nowrap">seq {countText(born.seq)}</span>}>
        <Value of={born.state} />
      </Card>
      <Card title="Steps">
        <PendingList
          kind={name.kind}
          of={born.steps}
          none="No step is pending."
          actsOf={(step) => [[{ act: 'retryStep', ...name, name: step }, 'Retry now']]}
        />
      </Card>
      <Card title="Alarms">
        <PendingList
          kind={name.kind}
          of={born.alarms}
          none="No alarm is set."
          actsOf={(alarm) => [
            [{ act: 'fireAlarm', ...name, name: alarm }, 'Fire now'],
            [{ act: 'cancelAlarm', ...name, name: alarm }, 'Cancel'],
          ]}
        />
      </Card>
      <Card title="Row">
        <Facts
          of={[
            ['incarnation', <code key="incarnation">{born.incarnation}</code>],
            ['version', String(born.version)],
            ['calls kept', countText(born.calls)],
            ['removed', born.endsAt === undefined ? undefined : dueText(born.endsAt, header.at)],
          ]}
        />
        <NamedValue title="Index" value={born.fields} />
      </Card>
    </>
  )
}

const PendingList = (props: {
  readonly kind: string
  readonly of: readonly Pending[]
  readonly none: string
  readonly actsOf: (name: string) => readonly (readonly [Proposed, string])[]
}) => {
  const { header } = usePage()
  if (props.of.length === 0) return <p class="muted">{props.none}</p>
  return (
    <ul class="pending">
      {props.of.map(({ name, tries, dueAt, runsSince, error, next }, at) => (
        // Steps may have one name.
        <li key={`${at} ${name}`}>
          <div class="acts">
            <b>{name}</b>
            {runsSince !== undefined && (
              <Badge tone="warn">runs for {durationText(Math.max(0, header.at - runsSince))}</Badge>
            )}
            {dueAt !== undefined && runsSince === undefined && (
              <time class="muted" title={new Date(dueAt).toISOString()}>
                {dueText(dueAt, header.at)}
              </time>
            )}
            {tries > 0 && <Badge tone="warn">failed {countText(tries)}×</Badge>}
          </div>
          {error !== undefined && <p class="bad">{error}</p>}
          {tries > 0 && next !== undefined && <p class="muted">{nextTexts[next]}</p>}
          {header.isWriting && props.kind !== workerKind && (
            <div class="acts">
              {props.actsOf(name).map(([of, title]) => (
                <Act key={title} of={of} title={title} />
              ))}
            </div>
          )}
        </li>
      ))}
    </ul>
  )
}

/** The states after the last turn that is chosen, and, of two, after the first one. */
const usePast = (name: EntityName, chosen: readonly number[]) => {
  const [first, last] = [Math.min(...chosen), Math.max(...chosen)]
  const then = useAsked('past', chosen.length > 0 ? { ...name, lsn: last } : undefined)
  const before = useAsked('past', chosen.length > 1 ? { ...name, lsn: first } : undefined)
  return [then, before] as const
}

/** The machine as it was after the last turn that is chosen, or as it is now. */
const Machine = (props: {
  readonly data: EntityDetail
  readonly name: EntityName
  readonly chosen: readonly number[]
}) => {
  const { data, name, chosen } = props
  const [{ data: then }, { data: before }] = usePast(name, chosen)
  if (!data.machine) return null
  const { states, value } = data.machine
  return (
    <Card title={then ? `Machine at LSN ${then.lsn}` : 'Machine now'}>
      <MachineDrawing
        states={states}
        value={then?.machineValue ?? value}
        last={before?.machineValue}
      />
    </Card>
  )
}

/** One turn: the state then. Two: the difference. */
const Chosen = (props: {
  readonly name: EntityName
  readonly data: EntityDetail
  readonly chosen: readonly number[]
}) => {
  const { name, data, chosen } = props
  const [then, before] = usePast(name, chosen)
  const refusal = then.refusal ?? before.refusal
  if (refusal) return <Card title="State then">{refusal.message}</Card>
  if (!then.data)
    return chosen.length > 0 || data.machine ? null : (
      <Card title="State then">
        <p class="muted">
          Choose a turn to see the state then, and a second one for the difference.
        </p>
      </Card>
    )
  if (before.data)
    return (
      <Card title={`From LSN ${before.data.lsn} to ${then.data.lsn}`}>
        <Difference from={before.data.state} to={then.data.state} />
      </Card>
    )
  return <StateThen past={then.data} />
}

const StateThen = ({ past }: { past: Past }) => {
  const { header } = usePage()
  return (
    <Card
      title={`State at LSN ${past.lsn}`}
      aside={<span class="muted nowrap">{timeText(past.at, header.at)}</span>}
    >
      <Value of={past.state} />
    </Card>
  )
}

type Found = {
  readonly turns: readonly HistoryTurn[]
  readonly before?: number
  readonly end?: string
  readonly isAsking: boolean
  readonly refusal?: Refused
}

/** The newest page, and the pages below it that were there before. */
const withNewer = (last: Found, page: Found): Found => {
  const newest = last.turns[0]?.lsn
  const at = page.turns.findIndex(({ lsn }) => lsn === newest)
  if (at < 0) return page
  const { refusal: _, ...kept } = last
  return { ...kept, turns: [...page.turns.slice(0, at), ...last.turns], isAsking: false }
}

/** The turns, the newest first. They are asked for once more when the entity has made one. */
const useTurns = ({ kind, id }: EntityName, seq: number | undefined) => {
  const [found, setFound] = useState<Found>({ turns: [], isAsking: true })
  const more = (before?: number): AbortController => {
    const abort = new AbortController()
    setFound((last) => ({ ...last, isAsking: true }))
    const query = { kind, id, ...(before !== undefined && { before }) }
    ask('history', query, abort.signal).then(
      ({ turns, ...place }) =>
        setFound((last) =>
          before === undefined
            ? withNewer(last, { turns, ...place, isAsking: false })
            : { turns: [...last.turns, ...turns], ...place, isAsking: false },
        ),
      (error: unknown) => {
        if (!abort.signal.aborted)
          setFound((last) => ({ ...last, isAsking: false, refusal: refusedOf(error) }))
      },
    )
    return abort
  }
  useEffect(() => {
    const abort = more()
    return () => abort.abort()
  }, [kind, id, seq])
  return { ...found, more: () => more(found.before) }
}

const Turns = (props: {
  readonly name: EntityName
  readonly seq: number | undefined
  readonly chosen: readonly number[]
  readonly onChoose: (lsn: number) => void
}) => {
  const { chosen, onChoose } = props
  const { turns, before, end, isAsking, refusal, more } = useTurns(props.name, props.seq)
  return (
    <Card title="Turns" isFlush aside={<span class="muted">choose one, or two</span>}>
      {refusal && <p class="banner bad">{refusal.message}</p>}
      <ol class="turns">
        {turns.map((turn) => (
          <Turn
            key={turn.lsn}
            turn={turn}
            isChosen={chosen.includes(turn.lsn)}
            onChoose={() => onChoose(turn.lsn)}
          />
        ))}
      </ol>
      {isAsking ? (
        <p class="ending muted">The log is being read …</p>
      ) : refusal && turns.length === 0 ? (
        <p class="ending">
          <button type="button" onClick={() => void more()}>
            Ask again
          </button>
        </p>
      ) : before === undefined ? (
        <p class="ending muted">{end ?? (turns.length > 0 ? 'Its birth.' : 'No turn is found.')}</p>
      ) : (
        <p class="ending">
          <button type="button" onClick={() => void more()}>
            Go on before LSN {before}
          </button>
        </p>
      )}
    </Card>
  )
}

const Turn = (props: {
  readonly turn: HistoryTurn
  readonly isChosen: boolean
  readonly onChoose: () => void
}) => {
  const { header } = usePage()
  const { lsn, at, cause, error, changed, notes, isDeleted } = props.turn
  return (
    <li class={props.isChosen ? 'chosen' : ''}>
      <button type="button" onClick={props.onChoose} aria-pressed={props.isChosen}>
        <span class="when">
          <span>{timeText(at, header.at)}</span>
          <span class="muted">LSN {lsn}</span>
        </span>
        <span class="cause">
          <b class={isDeleted ? 'bad' : ''}>{cause}</b>
          {error !== undefined && <span class="bad"> {error}</span>}
          {changed.length > 0 && <code class="changed">{changed.join(' ')}</code>}
          {notes.map((note) => (
            <span class="muted note" key={note}>
              {note}
            </span>
          ))}
        </span>
      </button>
    </li>
  )
}

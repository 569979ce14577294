/** Kinds of durable actors, and the list of one kind: all, those in trouble, or by an index. */
import { useState } from 'preact/hooks'
import type { Kind, KindPage } from '../entity-answers.ts'
import { usePage, usePages } from '../widgets/asking.ts'
import { Card, Empty, measured, Since, StateBadge } from '../widgets/parts.tsx'
import { countText, dueText } from '../widgets/quantities.ts'
import { addressOf, type Route } from '../widgets/route.ts'
import { Choice } from '../widgets/search.tsx'
import { type Column, PagedTable, Table } from '../widgets/table.tsx'

const troubles = ['blocked', 'failing', 'parked', 'overdue'] as const

const troubleColumn = (name: (typeof troubles)[number]): Column<Kind> => ({
  title: name,
  isNumber: true,
  cell: (kind) =>
    kind[name] === 0 ? (
      <span class="muted">0</span>
    ) : (
      <a class="bad" href={addressOf('kind', [kind.kind], { only: name })}>
        {countText(kind[name])}
      </a>
    ),
})

/** All kinds. */
export const EntitiesView = ({ data }: { data: { readonly kinds: readonly Kind[] } }) => {
  const { header } = usePage()
  const columns: readonly Column<Kind>[] = [
    { title: 'kind', cell: ({ kind }) => <a href={addressOf('kind', [kind])}>{kind}</a> },
    { title: 'live', isNumber: true, cell: ({ live }) => countText(live) },
    ...troubles.map(troubleColumn),
    {
      title: 'next alarm',
      isNumber: true,
      class: 'aside',
      cell: ({ nextAlarmAt }) => measured(nextAlarmAt, (at) => dueText(at, header.at)),
    },
  ]
  return (
    <>
      <div class="top">
        <h1>Entities</h1>
        <span class="fill" />
        <Finder example={`${data.kinds[0]?.kind ?? 'kind'}/17`} />
      </div>
      <Card isFlush>
        {data.kinds.length === 0 ? (
          <Empty title="No kind of durable actors runs">A kind is a child of the tree.</Empty>
        ) : (
          <Table columns={columns} rows={data.kinds} keyOf={({ kind }) => kind} />
        )}
      </Card>
    </>
  )
}

/** Goes to an entity by its name, `order/17`, or within a kind by its id. */
const Finder = ({ example, kind }: { example: string; kind?: string }) => {
  const [typed, setTyped] = useState('')
  const go = (): void => {
    const name = kind === undefined ? typed.trim() : `${kind}/${typed.trim()}`
    const at = name.indexOf('/')
    if (at > 0 && at < name.length - 1)
      location.hash = addressOf('entity', [name.slice(0, at), name.slice(at + 1)])
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        go()
      }}
    >
      <input
        type="search"
        placeholder={example}
        aria-label="Go to an entity"
        value={typed}
        onInput={(event) => setTyped(event.currentTarget.value)}
      />
    </form>
  )
}

type Row = KindPage['rows'][number]

const entityColumns = (kind: string, now: number): readonly Column<Row>[] => [
  {
    title: 'id',
    class: 'nowrap',
    cell: ({ id }) => <a href={addressOf('entity', [kind, id])}>{id}</a>,
  },
  {
    title: 'process',
    class: 'nowrap',
    cell: ({ pid }) =>
      pid === undefined ? (
        <span class="muted">at rest</span>
      ) : (
        <a href={addressOf('process', [pid])}>{`<${pid}>`}</a>
      ),
  },
  {
    title: 'since',
    class: 'nowrap',
    cell: ({ since }) => since !== undefined && <Since at={since} now={now} />,
  },
  {
    title: 'state',
    class: 'cut most',
    cell: ({ text, blocked }) =>
      blocked === undefined ? (
        <code>{text}</code>
      ) : (
        <>
          <StateBadge of="entity" state="blocked" /> {blocked}
        </>
      ),
  },
]

/** The entities of a kind. */
export const KindView = ({
  data,
  route,
}: {
  data: { readonly kinds: readonly Kind[] }
  route: Route
}) => {
  const { header } = usePage()
  const [kind = ''] = route.parts
  const { only, field, value, where } = route.query
  const known = data.kinds.find((each) => each.kind === kind)
  const asked = { kind, only, field, value, where } as { kind: string; only?: 'blocked' }
  const pages = usePages('kind', asked)
  return (
    <>
      <div class="top">
        <h1>
          <a href={addressOf('entities')}>Entities</a> / {kind}
        </h1>
        <span class="muted">
          {countText(pages.rows.length)}
          {pages.isWhole ? '' : ' so far'}
        </span>
        <span class="fill" />
        <Choice
          label="Which"
          value={only ?? ''}
          options={[
            ['', 'all'],
            ...troubles.map(
              (name) => [name, known ? `${name} (${countText(known[name])})` : name] as const,
            ),
          ]}
          onChoose={(only) => {
            location.hash = addressOf('kind', [kind], { only })
          }}
        />
        <Finder kind={kind} example="go to id" />
        {known && known.fields.length > 0 && <ByIndex kind={known} route={route} />}
      </div>
      <Card isFlush>
        <PagedTable
          columns={entityColumns(kind, header.at)}
          pages={pages}
          keyOf={({ id }) => id}
          empty={<Empty title={`No ${kind} is found`} />}
        />
      </Card>
    </>
  )
}

/** Asks for entities by fields of their index. */
const ByIndex = ({ kind, route }: { kind: Kind; route: Route }) => {
  const [field, setField] = useState(route.query.field ?? kind.fields[0] ?? '')
  const [value, setValue] = useState(route.query.value ?? '')
  const [where, setWhere] = useState(route.query.where ?? '')
  return (
    <form
      class="acts"
      onSubmit={(event) => {
        event.preventDefault()
        location.hash = addressOf('kind', [kind.kind], {
          ...(value !== '' && { field, value }),
          ...(where !== '' && { where }),
        })
      }}
    >
      <select
        aria-label="Field of the index"
        value={field}
        onChange={(event) => setField(event.currentTarget.value)}
      >
        {kind.fields.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
      <input
        type="search"
        placeholder="is"
        aria-label="Value of the field"
        value={value}
        onInput={(event) => setValue(event.currentTarget.value)}
      />
      <input
        type="search"
        placeholder="and status=open"
        aria-label="Further conditions"
        value={where}
        onInput={(event) => setWhere(event.currentTarget.value)}
      />
      <input type="submit" hidden />
    </form>
  )
}

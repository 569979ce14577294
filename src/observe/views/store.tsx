/** The keys of the store, page by page; a value is asked for when its key is chosen. */
import { useState } from 'preact/hooks'
import type { StorePage } from '../storage-answers.ts'
import { useAsked, usePage, usePages } from '../widgets/asking.ts'
import { Badge, Card, Empty, measured } from '../widgets/parts.tsx'
import { dueText } from '../widgets/quantities.ts'
import { addressOf, type Route } from '../widgets/route.ts'
import { type Column, PagedTable } from '../widgets/table.tsx'
import { Value } from '../widgets/values.tsx'

type Row = StorePage['rows'][number]

const keyColumns = (prefix: string, now: number): readonly Column<Row>[] => [
  {
    title: 'key',
    class: 'cut first',
    cell: ({ key }) => <a href={addressOf('store', [], { prefix, key })}>{key}</a>,
  },
  { title: 'type', cell: ({ type }) => <span class="muted">{type}</span> },
  {
    title: 'expires',
    isNumber: true,
    class: 'aside',
    cell: ({ expiresAt }) => measured(expiresAt, (at) => dueText(at, now)),
  },
  {
    title: 'locked by',
    class: 'aside',
    cell: ({ lock }) =>
      lock && (
        <>
          <Badge tone="warn">{lock.owner}</Badge>{' '}
          {lock.until !== undefined && <span class="muted">{dueText(lock.until, now)}</span>}
        </>
      ),
  },
]

/** The store. */
export const StoreView = ({ route }: { route: Route }) => {
  const { header } = usePage()
  const { prefix = '', key: chosen } = route.query
  const [typed, setTyped] = useState(prefix)
  const pages = usePages('store', { prefix })
  return (
    <>
      <div class="top">
        <h1>Store</h1>
        <span class="fill" />
        <form
          onSubmit={(event) => {
            event.preventDefault()
            location.hash = addressOf('store', [], { prefix: typed })
          }}
        >
          <input
            type="search"
            placeholder="keys that begin with"
            aria-label="Prefix"
            value={typed}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        </form>
      </div>
      <div class="cards">
        {chosen !== undefined && <KeyCard name={chosen} />}
        <Card isFlush>
          <PagedTable
            columns={keyColumns(prefix, header.at)}
            pages={pages}
            keyOf={({ key }) => key}
            isChosen={({ key }) => key === chosen}
            empty={<Empty title="No key begins like this" />}
          />
        </Card>
      </div>
    </>
  )
}

const KeyCard = ({ name }: { name: string }) => {
  const { data, refusal } = useAsked('key', { key: name })
  return (
    <Card title={name} isName>
      {refusal && <p class="bad">{refusal.message}</p>}
      {data && <Value of={data.value} />}
    </Card>
  )
}

/** Actions: their effect is shown before, and the reason goes to the log of the instance. */
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Plan, Proposed } from '../protocol.ts'
import { usePage } from './asking.ts'
import { act, plan } from './connection.ts'

/** A button that proposes an action; nothing in an instance that is only read. */
export const Act = (props: {
  readonly of: Proposed
  readonly title: string
  readonly isDangerous?: boolean
}) => {
  const { header, propose } = usePage()
  if (!header.isWriting) return null
  return (
    <button
      type="button"
      class={props.isDangerous ? 'danger' : ''}
      onClick={() => propose(props.of, props.title)}
    >
      {props.title}
    </button>
  )
}

type Stage =
  | { readonly is: 'planning' }
  | { readonly is: 'planned'; readonly plan: Plan }
  | { readonly is: 'acting'; readonly plan: Plan }
  | { readonly is: 'over'; readonly text: string; readonly isRefused: boolean }

/** The dialog that shows the effect of an action and asks. To delete, the name is typed. */
export const ActionDialog = (props: {
  readonly action: Proposed
  readonly title: string
  readonly onEnd: () => void
}) => {
  const { action, title, onEnd } = props
  const dialog = useRef<HTMLDialogElement>(null)
  const { stage, perform } = useStages(action)
  const [reason, setReason] = useState('')
  const [typed, setTyped] = useState('')
  useEffect(() => dialog.current?.showModal(), [])
  const toType =
    action.act === 'delete'
      ? action.id
      : action.act === 'deleteSchedule'
        ? action.schedule
        : undefined
  const isReady =
    stage.is === 'planned' && reason.trim() !== '' && (toType === undefined || typed === toType)
  return (
    <dialog ref={dialog} onClose={onEnd}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (isReady) void perform(stage.plan, reason)
        }}
      >
        <h1>{title}</h1>
        {stage.is === 'planning' && <p class="muted">The effect is being found out …</p>}
        {'plan' in stage && (
          <PlanFields
            effect={stage.plan.effect}
            reason={reason}
            onReason={setReason}
            toType={toType}
            typed={typed}
            onType={setTyped}
          />
        )}
        {stage.is === 'over' && <p class={stage.isRefused ? 'bad' : ''}>{stage.text}</p>}
        <div class="buttons">
          <button type="button" onClick={() => dialog.current?.close()}>
            {stage.is === 'over' ? 'Close' : 'Leave it'}
          </button>
          {stage.is !== 'over' && (
            <button type="submit" class="primary" disabled={!isReady}>
              {title}
            </button>
          )}
        </div>
      </form>
    </dialog>
  )
}

/** The stage of an action: its effect is asked for at once, and `perform` asks for the action. */
const useStages = (action: Proposed) => {
  const [stage, setStage] = useState<Stage>({ is: 'planning' })
  const refused = (error: Error): void =>
    setStage({ is: 'over', text: error.message, isRefused: true })
  useEffect(() => {
    plan(action).then((made) => setStage({ is: 'planned', plan: made }), refused)
  }, [])
  const perform = async (planned: Plan, reason: string): Promise<void> => {
    setStage({ is: 'acting', plan: planned })
    try {
      const { text } = await act({ ...action, reason }, planned.nonce)
      setStage({ is: 'over', text, isRefused: false })
    } catch (error) {
      refused(error as Error)
    }
  }
  return { stage, perform }
}

/** The effect of an action, and the fields that it wants filled: the reason, and an id to delete. */
const PlanFields = (props: {
  readonly effect: string
  readonly reason: string
  readonly onReason: (reason: string) => void
  readonly toType: string | undefined
  readonly typed: string
  readonly onType: (typed: string) => void
}) => (
  <>
    <p>This {props.effect}.</p>
    <label>
      Why? Your name and the reason go to the log.
      <input value={props.reason} onInput={(event) => props.onReason(event.currentTarget.value)} />
    </label>
    {props.toType !== undefined && (
      <label>
        Type <code>{props.toType}</code> to delete it.
        <input value={props.typed} onInput={(event) => props.onType(event.currentTarget.value)} />
      </label>
    )}
  </>
)

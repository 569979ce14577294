/**
 * Inspection: the command line and the prompt. It imports supervisors and all layers below. Its rooms, each importing only rooms above it:
 *
 * - text: tables, colours, quantities and errors as text
 * - command: what every command needs: words, streams, signals, progress
 * - recorder: the flight recorder: failures and warnings as text, and their counts
 * - answers: facts about an instance: processes, entities, runs, queues, shards; and its troubles
 * - views: processes, entities, machines, logs and flows as text
 * - prompt: the prompt and its words
 * - observe: answers of an instance to `keelson observe`: views, measurements, actions
 * - attach: prompts that are attached to a running instance; the public `start`
 * - page-server: the HTTP server of the page of `keelson observe`; `keelson/observer`
 * - mcp: `keelson mcp`: the tools that read, and the door to the SDK of their protocol
 * - folder: commands on a data folder: `keelson wal`, `journal`, `backup`, `restore`, `doctor`
 * - rehearsal: `keelson rehearse`: what a new build will do with stored data
 * - operations: `keelson/operations`: health, readiness and metrics for programs that watch
 * - cluster: `keelson cluster`
 * - members: several processes on one data folder: their parent, and their link to it
 * - cli: the `keelson` command, its configuration file, `keelson start`, `run` and `attach`
 *
 * Start reading at `cli/command.ts`, then `prompt/prompt.ts`.
 */
export { type Surveyed, surveyTree, type TreeNode } from './answers/tree-survey.ts'
export { treeView } from './views/tree-view.ts'

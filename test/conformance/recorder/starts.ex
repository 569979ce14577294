defmodule Server do
  @moduledoc "A server of a scenario. Its state is the scenario's; all else is in the process dictionary."
  use GenServer
  import World

  def init({w, base, proc, arg, parent}) do
    enter(w)
    Process.put(:parent, parent)
    Process.put(:on, Json.get(w.procs[proc], "on", {:obj, []}))
    label(self(), base)
    record(["init", encode(arg)])
    f = Actions.run(actions(["init"]), %{state: nil, payload: arg, from: nil})
    cond do
      f[:bad] -> elem(f.bad, 1)
      f[:ignore] -> :ignore
      f[:stop] -> f.stop
      f[:next] -> {:ok, f.state, next(f.next)}
      true -> {:ok, f.state}
    end
  end

  def handle_call({name, payload}, {pid, _} = from, state),
    do: handle(state, %{payload: payload, from: pid, call: from}, ["call #{name}", "call *"], ["call", to_string(name), encode(payload)], :fail)
  def handle_cast({name, payload}, state),
    do: handle(state, %{payload: payload, from: nil}, ["cast #{name}", "cast *"], ["cast", to_string(name), encode(payload)], :fail)
  def handle_continue(name, state),
    do: handle(state, %{payload: nil, from: nil}, ["continue #{name}"], ["continue", name], :fail)
  def handle_info(:timeout, state),
    do: handle(state, %{payload: nil, from: nil}, ["timeout"], ["timeout"], :ignore)
  def handle_info(message, state) do
    m = World.message(message)
    {keys, payload, from} =
      case m do
        {:exit, pid, reason} -> {["exit"], reason, pid}
        {:down, _, object, reason} -> {["down"], reason, if(is_pid(object), do: object)}
        {:timer, tag, payload} -> {["timer #{tag}"], payload, nil}
        {:value, value} -> {["info *"], value, nil}
        {:info, name, payload} -> {["info #{name}", "info *"], payload, nil}
        _ -> {[], nil, nil}
      end
    handle(state, %{payload: payload, from: from}, keys, event(m), :ignore)
  end

  def terminate(reason, state) do
    record(["terminate", encode(reason)])
    Actions.run(actions(["terminate"]), %{state: state, payload: reason, from: nil})
  end

  defp handle(state, given, keys, event, otherwise) do
    record(event)
    actions = actions(keys)
    if actions == nil and otherwise == :fail, do: :erlang.error(:function_clause)
    f = Actions.run(actions, Map.put(given, :state, state))
    replied = if given[:call], do: f[:reply]
    case {f, replied} do
      {%{bad: {:bad, t}}, _} -> t
      {%{stop: {:stop, r}}, {:reply, v}} -> {:stop, r, v, f.state}
      {%{stop: {:stop, r}}, _} -> {:stop, r, f.state}
      {%{next: n}, {:reply, v}} -> {:reply, v, f.state, next(n)}
      {_, {:reply, v}} -> {:reply, v, f.state}
      {%{next: n}, _} -> {:noreply, f.state, next(n)}
      _ -> {:noreply, f.state}
    end
  end

  defp actions(keys), do: Enum.find_value(keys, &Json.get(Process.get(:on), &1))

  defp next({:obj, [{"timeout", n} | _]}), do: ms(n)
  defp next({:obj, [{"hibernate", true} | _]}), do: :hibernate
  defp next({:obj, [{"continue", name} | _]}), do: {:continue, name}
end

defmodule Tree do
  @moduledoc "A supervisor of a scenario."
  import World
  import Json, only: [get: 2, get: 3]

  def init({w, base, proc}) do
    enter(w)
    label(self(), base)
    d = w.procs[proc]
    case get(d, "kind") do
      "supervisor" ->
        flags = %{strategy: String.to_atom(get(d, "strategy")), intensity: get(d, "intensity", 3),
                  period: get(d, "period", 5) * w.scale, auto_shutdown: String.to_atom(get(d, "auto_shutdown", "never"))}
        {:ok, {flags, Enum.map(get(d, "children"), &Starts.child(&1, fn c -> term(get(c, "arg")) end))}}
      "dynamic_supervisor" ->
        flags = [strategy: :one_for_one, max_restarts: get(d, "intensity", 3), max_seconds: get(d, "period", 5) * w.scale,
                 max_children: get(d, "max_children", :infinity)]
        extra = get(d, "extra_arguments", [])
        extra = if extra == [], do: [], else: [{:extra, Enum.map(extra, &term/1)}]
        DynamicSupervisor.init(flags ++ [extra_arguments: extra])
    end
  end
end

defmodule Starts do
  @moduledoc "How the processes of a scenario are started."
  import World
  import Json, only: [get: 2, get: 3]

  def start(base, proc, arg, link?, timeout) do
    w = world()
    d = w.procs[proc]
    names = name_options(get(d, "name"))
    case {get(d, "kind"), link?} do
      {"server", true} -> GenServer.start_link(Server, {w, base, proc, arg, self()}, [timeout: timeout] ++ names)
      {"server", false} -> GenServer.start(Server, {w, base, proc, arg, self()}, [timeout: timeout] ++ names)
      {"plain", _} ->
        parent = self()
        body = fn ->
          enter(w)
          Process.put(:parent, parent)
          label(self(), base)
          if n = names[:name], do: Process.register(self(), n)
          record(["body", encode(arg)])
          Actions.run(get(d, "body"), %{state: nil, payload: arg, from: nil})
        end
        pid = if link?, do: spawn_link(body), else: spawn(body)
        label(pid, base)
        {:ok, pid}
      {"supervisor", true} -> Supervisor.start_link(Tree, {w, base, proc}, names)
      {"supervisor", false} ->
        GenServer.start(:supervisor, {sup_name(names), Tree, {w, base, proc}}, names)
      {"dynamic_supervisor", true} -> DynamicSupervisor.start_link(Tree, {w, base, proc}, names)
      {"dynamic_supervisor", false} ->
        GenServer.start(DynamicSupervisor, {Tree, {w, base, proc}, names[:name]}, names)
      {"registry", _} ->
        start_tree(link?, base, fn -> Registry.start_link(keys: String.to_atom(get(d, "keys")), name: names[:name]) end)
      {"task_supervisor", _} ->
        o = names ++ for {k, s} <- [max_children: "max_children", max_restarts: "intensity"], v = get(d, s), do: {k, v}
        start_tree(link?, base, fn -> Task.Supervisor.start_link(o) end)
    end
  end

  defp sup_name([]), do: :self
  defp sup_name(name: n) when is_atom(n), do: {:local, n}
  defp sup_name(name: n), do: n

  # There is no start without a link: where none is wanted, somebody else starts it and goes.
  defp start_tree(true, base, start), do: labelled(start.(), base)
  defp start_tree(false, base, start) do
    {w, asker, ref} = {world(), self(), make_ref()}
    spawn(fn ->
      enter(w)
      Process.flag(:trap_exit, true)
      result = labelled(start.(), base)
      with {:ok, pid} <- result, do: Process.unlink(pid)
      send(asker, {ref, result})
    end)
    receive do
      {^ref, result} -> result
    end
  end

  defp labelled(result, base) do
    with {:ok, pid} <- result, do: label(pid, base)
    result
  end

  @doc "The specification of a child."
  def child({:obj, _} = c, arg) do
    w = world()
    id = get(c, "id")
    type = String.to_atom(get(c, "type", "worker"))
    base = %{id: String.to_atom(id), start: {__MODULE__, :start_child, [w, id, get(c, "proc"), arg.(c)]}, type: type,
             restart: String.to_atom(get(c, "restart", "permanent"))}
    base = case get(c, "shutdown") do
      nil -> if type == :worker, do: Map.put(base, :shutdown, 5000 * w.scale), else: base
      n when is_integer(n) -> Map.put(base, :shutdown, n * w.scale)
      s -> Map.put(base, :shutdown, String.to_atom(s))
    end
    if get(c, "significant") == nil, do: base, else: Map.put(base, :significant, get(c, "significant"))
  end

  def start_child({:extra, list}, w, id, proc, arg), do: start_child(w, id, proc, List.to_tuple(list ++ [arg]))
  def start_child(w, id, proc, arg) do
    enter(w)
    World.chaos()
    result = start(id, proc, arg, true, :infinity)
    World.chaos()
    result
  end

  def result({:ok, pid}), do: ["ok", encode(pid)]
  def result(:ignore), do: "ignore"
  def result({:error, reason}), do: ["error", encode(reason)]
end

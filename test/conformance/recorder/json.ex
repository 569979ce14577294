defmodule Json do
  @moduledoc "JSON, as much as scenarios need: objects keep their order as lists of pairs under `:obj`."
  def decode(text), do: with({v, rest} <- value(skip(text)), "" <- skip(rest), do: v)

  defp skip(<<c, r::binary>>) when c in ' \n\r\t', do: skip(r)
  defp skip(r), do: r
  defp value("null" <> r), do: {nil, r}
  defp value("true" <> r), do: {true, r}
  defp value("false" <> r), do: {false, r}
  defp value("\"" <> r), do: string(r, [])
  defp value("[" <> r), do: list(skip(r), [])
  defp value("{" <> r), do: object(skip(r), [])
  defp value(r) do
    [n] = Regex.run(~r/^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/, r)
    rest = binary_part(r, byte_size(n), byte_size(r) - byte_size(n))
    {if(n =~ ~r/[.eE]/, do: String.to_float(n), else: String.to_integer(n)), rest}
  end
  defp string("\"" <> r, acc), do: {IO.iodata_to_binary(Enum.reverse(acc)), r}
  defp string("\\u" <> <<h::binary-4, r::binary>>, acc), do: string(r, [<<String.to_integer(h, 16)::utf8>> | acc])
  defp string("\\n" <> r, acc), do: string(r, ["\n" | acc])
  defp string("\\t" <> r, acc), do: string(r, ["\t" | acc])
  defp string("\\" <> <<c, r::binary>>, acc), do: string(r, [c | acc])
  defp string(<<c, r::binary>>, acc), do: string(r, [c | acc])
  defp list("]" <> r, acc), do: {Enum.reverse(acc), r}
  defp list("," <> r, acc), do: list(skip(r), acc)
  defp list(r, acc) do
    {v, r} = value(r)
    list(skip(r), [v | acc])
  end
  defp object("}" <> r, acc), do: {{:obj, Enum.reverse(acc)}, r}
  defp object("," <> r, acc), do: object(skip(r), acc)
  defp object("\"" <> r, acc) do
    {k, r} = string(r, [])
    ":" <> r = skip(r)
    {v, r} = value(skip(r))
    object(skip(r), [{k, v} | acc])
  end

  def encode(nil), do: "null"
  def encode(true), do: "true"
  def encode(false), do: "false"
  def encode(n) when is_number(n), do: to_string(n)
  def encode(s) when is_binary(s), do: [?", escape(s), ?"]
  def encode(l) when is_list(l), do: [?[, Enum.intersperse(Enum.map(l, &encode/1), ?,), ?]]
  def encode({:obj, pairs}),
    do: [?{, Enum.intersperse(Enum.map(pairs, fn {k, v} -> [encode(k), ?:, encode(v)] end), ?,), ?}]
  defp escape(s), do: s |> String.replace("\\", "\\\\") |> String.replace("\"", "\\\"") |> String.replace("\n", "\\n")

  def get({:obj, pairs}, key, default \\ nil) do
    case List.keyfind(pairs, key, 0) do
      {_, v} -> v
      nil -> default
    end
  end
  def has?({:obj, pairs}, key), do: List.keymember?(pairs, key, 0)
  def has?(_, _), do: false
end

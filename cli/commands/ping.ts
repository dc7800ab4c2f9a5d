import { HumqCommand } from "../command.ts";

export default class Ping extends HumqCommand {
  static override summary = "Ask the broker whether it is there, and who it takes you for.";
  static override examples = ["<%= config.bin %> ping", "<%= config.bin %> ping --instance cluster --json"];

  async run() {
    const { flags } = await this.parse(Ping);
    const { Client } = await import("../../core/client.ts");
    const { readyInstance } = await import("../instance.ts");
    const instance = await readyInstance(flags.instance);
    await using client = await Client.openAny({ instance: instance.name });
    const pong = await client.ping();
    const { server, serverVersion, name, role, roundTripMs } = pong;
    await this.print(
      `"${pong.instance}" answers: nats-server ${serverVersion} at ${server}, ${roundTripMs} ms there and back. You are ${name} (${role}).`,
    );
    return pong;
  }
}

/** `node test/tables/api.ts`: writes docs/api.md anew. */
import { writeFileSync } from "node:fs";
import { documentsOf } from "../daemon/server/documents.ts";
import { startFake } from "../daemon/server/daemon.ts";
import { apiPage } from "./api-page.ts";

await using daemon = await startFake();
writeFileSync(new URL("../../docs/api.md", import.meta.url), apiPage(await documentsOf(daemon)));

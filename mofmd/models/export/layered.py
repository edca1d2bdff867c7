"""Message-passing models evaluated layer by layer, a few centres at a time, in bounded memory.

Reverse differentiation keeps what every layer computed on every edge, which for a large system is
most of the memory. With ``chunk`` among the inputs (int64, a number of centres) a layer is
evaluated for that many centres at a time and only its result, the features of the nodes, is kept;
on the way back each piece is evaluated once more and differentiated (Chen et al. 2016,
arXiv:1604.06174):

    x_0 -> [layer 0] -> x_1 -> exchange -> [layer 1] -> ... -> E = sum over layers and nodes

The memory is that of a piece of one layer and of the nodes' features. The last layer is evaluated
once only.
"""

from __future__ import annotations

import torch


class LayeredGradientModel(torch.nn.Module):
    """Atomic energies and their derivatives with respect to the edge vectors.

    As ``EdgeGradientModel`` for TorchScript, with the further input ``chunk``.

    Parameters
    ----------
    energy : torch.nn.Module
        Called with the inputs, features (rows, F), the first and one past the last layer to
        evaluate, and whether ``features`` has the rows of all nodes (otherwise of owned nodes only,
        and the layers exchange). Returns the new features of owned nodes, and the energies
        (N_local, 1) float64 that these layers add.
    model_types : list of int
        Type of ``energy`` behind each type of the exported model.
    num_layers : int
        Layers of ``energy``.
    """

    def __init__(self, energy: torch.nn.Module, model_types: list[int], num_layers: int) -> None:
        super().__init__()
        self.energy = energy
        self.num_layers = num_layers
        self.register_buffer("model_types", torch.tensor(model_types, dtype=torch.long))

    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Evaluate the model, in chunks where asked to."""
        edge_vectors = data["edge_vectors"].detach()
        edge_index = data["edge_index"]
        types = self.model_types.index_select(0, data["atom_types"])
        local_types = self.model_types.index_select(0, data["local_types"])
        if "chunk" in data:
            energy, gradient = self.in_chunks(
                edge_vectors, edge_index, types, local_types, int(data["chunk"].item())
            )
        else:
            edge_vectors = edge_vectors.requires_grad_(True)
            inputs = {
                "edge_vectors": edge_vectors,
                "edge_index": edge_index,
                "atom_types": types,
                "local_types": local_types,
            }
            no_features = torch.empty(0, device=types.device)
            energy = self.energy(inputs, no_features, 0, self.num_layers, False)[1]
            found = torch.autograd.grad([energy.sum()], [edge_vectors])[0]
            assert found is not None
            gradient = found
        return {"atomic_energy": energy.detach(), "edge_gradients": gradient.detach()}

    def in_chunks(
        self,
        edge_vectors: torch.Tensor,
        edge_index: torch.Tensor,
        types: torch.Tensor,
        local_types: torch.Tensor,
        chunk: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Energies (N_local, 1) and dE/dr_ij (E, 3), ``chunk`` centres of a layer at a time."""
        num_local = local_types.size(0)
        order = torch.argsort(edge_index[0], stable=True)
        edge_vectors, edge_index = edge_vectors[order], edge_index[:, order]
        firsts = torch.arange(0, num_local, chunk, device=types.device)
        bounds: list[int] = torch.searchsorted(edge_index[0].contiguous(), firsts).tolist()
        bounds.append(edge_index.size(1))
        parts = [
            self.part(
                edge_index[:, bounds[k] : bounds[k + 1]], types, local_types, k * chunk, chunk
            )
            for k in range(len(bounds) - 1)
        ]

        energy = torch.zeros((num_local, 1), dtype=torch.float64, device=types.device)
        tables = [torch.empty((types.size(0), 0), device=types.device)]  # before each layer
        last_layer = self.num_layers - 1
        for layer in range(last_layer):
            pieces: list[torch.Tensor] = []
            with torch.no_grad():
                for k, part in enumerate(parts):
                    inputs = part.copy()
                    inputs["edge_vectors"] = edge_vectors[bounds[k] : bounds[k + 1]]
                    before = tables[layer][part["rows"]]
                    piece, added = self.energy(inputs, before, layer, layer + 1, True)
                    pieces.append(piece)
                    energy[k * chunk : (k + 1) * chunk] += added
                tables.append(torch.ops.mofmd.exchange(torch.cat(pieces), local_types, types))

        gradient = torch.zeros_like(edge_vectors)
        upstream = torch.empty(0, device=types.device)  # dE/dfeatures of owned nodes after a layer
        for step in range(self.num_layers):
            layer = last_layer - step
            table_gradient = torch.zeros_like(tables[layer])
            for k, part in enumerate(parts):
                vectors = edge_vectors[bounds[k] : bounds[k + 1]].requires_grad_(True)
                before = tables[layer][part["rows"]].requires_grad_(True)
                inputs = part.copy()
                inputs["edge_vectors"] = vectors
                after, added = self.energy(inputs, before, layer, layer + 1, True)
                objective = added.sum()
                if layer == last_layer:
                    energy[k * chunk : (k + 1) * chunk] += added.detach()
                else:
                    objective = objective + (after * upstream[k * chunk : (k + 1) * chunk]).sum()
                found = torch.autograd.grad([objective], [vectors, before], allow_unused=True)
                vector_gradient, before_gradient = found[0], found[1]
                if vector_gradient is not None:
                    gradient[bounds[k] : bounds[k + 1]] += vector_gradient
                if before_gradient is not None:
                    table_gradient.index_add_(0, part["rows"], before_gradient)
            if layer > 0:
                upstream = torch.ops.mofmd.exchange_backward(table_gradient, local_types)
        return energy, torch.zeros_like(gradient).index_copy(0, order, gradient)

    def part(
        self,
        edge_index: torch.Tensor,
        types: torch.Tensor,
        local_types: torch.Tensor,
        first: int,
        chunk: int,
    ) -> dict[str, torch.Tensor]:
        """Graph of the centres from ``first`` on: their nodes first; ``rows`` are those of all."""
        local_types = local_types[first : first + chunk]
        neighbours = edge_index[1]
        centres = torch.arange(first, first + local_types.size(0), device=types.device)
        is_other = torch.zeros_like(types, dtype=torch.bool)
        is_other[neighbours] = True
        is_other[centres] = False
        rows = torch.cat([centres, torch.nonzero(is_other)[:, 0]])
        place = torch.zeros_like(types)
        place[rows] = torch.arange(rows.size(0), device=types.device)
        return {
            "rows": rows,
            "atom_types": types[rows],
            "local_types": local_types,
            "edge_index": torch.stack([edge_index[0] - first, place[neighbours]]),
        }

"""What layers of attention to few combinations of positions have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hgq_keras.layers._attention_base import AttentionLayer
from hgq_keras.layers._attention_views import ProjectionView, TableProjectionView

if TYPE_CHECKING:
    from hgq_core.layers import SequenceProjection

__all__ = ["LinformerLayer"]


class LinformerLayer(AttentionLayer):
    """Attention with a map of the positions of key and value; abstract over its constructor."""

    project: SequenceProjection

    def _map(self, name: str) -> ProjectionView | TableProjectionView:
        view = TableProjectionView if self.project.of_tables else ProjectionView
        return view(self, "kv_proj" if self.project.shared else name, self.parallelization_factor)

    @property
    def _lin_k_proj(self) -> ProjectionView | TableProjectionView:
        return self._map("key_proj")

    @property
    def _lin_v_proj(self) -> ProjectionView | TableProjectionView:
        return self._map("value_proj")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["attention_mask"], config["use_causal_mask"]
        return config | {
            "lin_kv_proj_dim": self.project.sizes,
            "share_kv_proj": self.project.shared,
            "lin_kv_proj_mode": "dense_t" if self.project.of_tables else "dense",
        }

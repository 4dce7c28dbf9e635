"""The data of a picture refuses what cannot be drawn."""

from __future__ import annotations

import pytest

from diagrad.frontend.pictures import Cluster, Edge, Node, Picture


def test_an_edge_names_nodes_of_the_picture() -> None:
    with pytest.raises(ValueError) as caught:
        Picture("p", (Node("x", "observed"),), (Edge("x", "f"),))
    assert str(caught.value) == "edge 'x' -> 'f': the picture has no node 'f'"


def test_ids_are_unique() -> None:
    with pytest.raises(ValueError) as caught:
        Picture("p", (Node("x", "observed"), Node("x", "computed")))
    assert str(caught.value) == "two nodes of the picture have the id 'x'"


def test_clusters_exist() -> None:
    with pytest.raises(ValueError) as caught:
        Picture("p", (Node("x", "observed", cluster="net"),))
    assert str(caught.value) == "'x' is in cluster 'net', which the picture lacks"


def test_clusters_do_not_hold_themselves() -> None:
    with pytest.raises(ValueError) as caught:
        Picture("p", (), (), (Cluster("a", parent="b"), Cluster("b", parent="a")))
    assert str(caught.value) == "cluster 'a' is inside itself"
